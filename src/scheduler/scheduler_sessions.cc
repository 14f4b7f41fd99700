// Sessions of workers: opening, what is said in them, closing.

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/worker_protocol.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kFirstCallBackRetry = std::chrono::milliseconds(200);
constexpr uint32_t kMostCallBackDoublings = 5;

bool same_boot_and_journal(const v1::WorkerIdentity& a, const v1::WorkerIdentity& b) {
  return a.boot_id() == b.boot_id() && a.journal_id() == b.journal_id();
}

}  // namespace

v1::SessionResponse Scheduler::message_to(const WorkerEntry& worker) const {
  v1::SessionResponse message;
  message.set_epoch(epoch_);
  message.set_session(worker.session);
  return message;
}

Decision Scheduler::session_hello(StreamId stream, const v1::SessionHello& hello,
                                  const std::string& presented_sha256, Now now) {
  Decision out;
  WorkerEntry* worker = workers_.find(hello.identity().worker_id());
  if (worker == nullptr || worker->record.secret_sha256() != presented_sha256 ||
      worker->state() == v1::Worker::LEFT || worker->state() == v1::Worker::OFFLINE) {
    out.effects.emplace_back(CloseStream{stream, absl::FailedPreconditionError("register first")});
    return out;
  }
  if (worker->stream != 0) {
    out.effects.emplace_back(
        CloseStream{worker->stream, absl::AbortedError("superseded by a newer session")});
  }
  const bool same_boot = worker->record.identity().boot_id() == hello.identity().boot_id();
  const bool same_journal = same_boot_and_journal(worker->record.identity(), hello.identity());
  worker->session = ++last_session_;
  workers_.set_stream(*worker, stream);
  worker->called_back = false;
  worker->failed_call_backs = 0;
  worker->last_heard = now.boot;
  *worker->record.mutable_worker()->mutable_last_seen() = to_proto(now.wall);
  *worker->record.mutable_identity() = hello.identity();
  persist_worker(*worker);
  worker->begin_anew = false;
  watch(*worker);

  SendDown welcome{stream, message_to(*worker)};
  welcome.message.mutable_welcome()->set_epoch(epoch_);
  welcome.message.mutable_welcome()->set_session(worker->session);
  out.effects.emplace_back(std::move(welcome));
  reconcile(*worker, hello, {.boot = same_boot, .journal = same_journal}, out, now);
  if (worker->record.worker().draining()) send_drain(*worker, out);
  send_doomed(*worker, out);
  out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                    .name = worker->name(),
                                    .session = worker->session,
                                    .address = worker->record.worker().address(),
                                    .fresh = true});
  return seal(std::move(out), now);
}

void Scheduler::reconcile(WorkerEntry& worker, const v1::SessionHello& hello, SameAsBefore same,
                          Decision& out, Now now) {
  std::unordered_map<std::string, const v1::HeldAttempt*> held;
  v1::SessionResponse acknowledged = message_to(worker);
  v1::SessionResponse fenced = message_to(worker);
  for (const v1::HeldAttempt& attempt : hello.inventory()) {
    if (current_attempt(attempt.key(), worker.id()) != nullptr) {
      held[attempt.key().job_id()] = &attempt;
    } else if (attempt.has_end()) {
      late_end(attempt.key(), attempt.end(), worker, out);
    } else {
      *fenced.mutable_fenced()->add_keys() = attempt.key();
    }
  }
  const std::vector<std::string> here(worker.jobs.begin(), worker.jobs.end());
  for (const std::string& job_id : here) {
    LiveJob& live = *jobs_.find(job_id);
    const auto found = held.find(job_id);
    if (found != held.end()) {
      adopt(live, *found->second, out, now);
      if (found->second->has_end()) {
        *acknowledged.mutable_acknowledged()->add_keys() = found->second->key();
      }
    } else if (same.journal && live.job.state() == v1::Job::STARTING) {
      // Never started there: sent again under this session. A stop leaves a tombstone instead.
      if (live.job.has_stop_requested()) {
        v1::JobEnd end;
        end.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
        end.set_message("stopped before it was started");
        attempt_ended(live, end, now.wall, out, now);
      } else {
        mark(live);
        send_start(live, worker, out);
      }
    } else {
      v1::JobEnd end;
      end.set_reason(v1::JobEnd::WORKER_LOST);
      end.set_message(is_original(worker.protocol())
                          ? "the scheduler was restarted before the worker had answered its order"
                      : same.journal ? "the worker no longer knows this attempt"
                                     : "the worker's machine or its journal was replaced");
      // With another boot nothing of it runs any more; else its fence is waited for.
      const auto silence = lost_after(live.job.spec());
      const bool may_run = same.boot && fences_itself(live.job.spec());
      attempt_ended(live, end, now.wall, out, now,
                    may_run ? silence + fence_margin(silence) : silence.zero());
    }
  }
  if (acknowledged.has_acknowledged()) {
    out.effects.emplace_back(SendDown{worker.stream, std::move(acknowledged)});
  }
  if (fenced.has_fenced()) out.effects.emplace_back(SendDown{worker.stream, std::move(fenced)});
}

void Scheduler::adopt(LiveJob& live, const v1::HeldAttempt& held, Decision& out, Now now) {
  v1::Attempt& record = *live.job.mutable_attempts()->rbegin();
  record.set_epoch(epoch_);
  const WorkerEntry& worker = *workers_.find(live.job.worker_id());
  record.set_session(worker.session);
  live.order.edit().answered();
  if (held.started()) {
    v1::JobEvent event;
    *event.mutable_time() = held.start_time();
    event.mutable_started()->set_output_path(held.output_path());
    event.mutable_started()->set_remote_id(held.remote_id());
    attempt_started(live, event, out, now);
  }
  if (held.has_end()) {
    attempt_ended(live, held.end(), from_proto(held.end_time()), out, now);
  } else if (live.job.has_stop_requested()) {
    send_stop(live, *workers_.find(live.job.worker_id()), out);
  }
  if (live.job.suspended() != held.suspended()) {
    live.job.set_suspended(held.suspended());
    mark(live);
  }
}

Decision Scheduler::session_message(StreamId stream, const v1::SessionRequest& message, Now now) {
  Decision out;
  WorkerEntry* worker = workers_.find_by_stream(stream);
  if (worker == nullptr || message.epoch() != epoch_ || message.session() != worker->session) {
    return out;
  }
  if (worker->begin_anew) {  // attempts of it were given up: its inventory is needed
    out.effects.emplace_back(
        CloseStream{stream, absl::AbortedError("was silent for too long; open a new session")});
    workers_.set_stream(*worker, 0);
    worker->called_back = false;
    return out;
  }
  worker->last_heard = now.boot;
  *worker->record.mutable_worker()->mutable_last_seen() = to_proto(now.wall);
  if (worker->state() == v1::Worker::UNREACHABLE && worker->called_back) {
    worker->called_back = false;  // it was silent: ALIVE again once it answers at its address
    out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                      .name = worker->name(),
                                      .session = worker->session,
                                      .address = worker->record.worker().address()});
  }
  if (message.has_heartbeat()) {
    metrics_.heartbeats.add();
    if (worker->occupied != message.heartbeat().occupied()) {
      worker->occupied = message.heartbeat().occupied();
      workers_.members_changed();
      placement_changed_ = true;
    }
    SendDown answer{stream, message_to(*worker)};
    answer.message.mutable_heartbeat()->set_number(message.heartbeat().number());
    out.effects.emplace_back(std::move(answer));
  } else if (message.has_events()) {
    apply_events(*worker, message.events(), out, now);
  } else if (message.has_outputs_deleted()) {
    for (const std::string& job_id : message.outputs_deleted().job_ids()) {
      out.persist.delete_doomed.push_back({worker->id(), job_id});
    }
    send_doomed(*worker, out);
  }
  return seal(std::move(out), now);
}

void Scheduler::apply_events(WorkerEntry& worker, const v1::JobEvents& events, Decision& out,
                             Now now) {
  SendDown answer{worker.stream, message_to(worker)};
  SendDown fence{worker.stream, message_to(worker)};
  for (const v1::JobEvent& event : events.events()) {
    LiveJob* live = current_attempt(event.key(), worker.id());
    if (event.has_ended() && live == nullptr) {
      late_end(event.key(), event.ended(), worker, out);
    } else if (event.has_ended()) {
      *answer.message.mutable_acknowledged()->add_keys() = event.key();
      attempt_ended(*live, event.ended(), from_proto(event.time()), out, now);
    } else if (live == nullptr) {
      if (event.has_started()) *fence.message.mutable_fenced()->add_keys() = event.key();
    } else if (event.has_started()) {
      attempt_started(*live, event, out, now);
    } else if (event.has_refused()) {
      if (live->job.state() == v1::Job::STARTING) {
        attempt_refused(*live, from_proto(event.refused()), out, now);
      }
    } else if (event.has_progress()) {
      attempt_progressed(*live, event.progress());
    } else {
      live->job.set_suspended(event.suspended());
      mark(*live);
    }
  }
  if (answer.message.has_acknowledged()) out.effects.emplace_back(std::move(answer));
  if (fence.message.has_fenced()) out.effects.emplace_back(std::move(fence));
}

Decision Scheduler::session_closed(StreamId stream, Now now) {
  Decision out;
  WorkerEntry* worker = workers_.find_by_stream(stream);
  if (worker == nullptr) return out;  // superseded
  workers_.set_stream(*worker, 0);
  worker->called_back = false;
  placement_changed_ = true;
  // Is it gone, or is this only the stream? Asked at once rather than after worker_timeout.
  out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                    .name = worker->name(),
                                    .session = worker->session,
                                    .address = worker->record.worker().address(),
                                    .fresh = true});
  return seal(std::move(out), now);
}

Decision Scheduler::called_back(const std::string& worker_id, uint64_t session,
                                const absl::StatusOr<v1::WorkerIdentity>& answer, Now now) {
  Decision out;
  WorkerEntry* worker = workers_.find(worker_id);
  if (worker == nullptr || worker->session != session || worker->state() == v1::Worker::LEFT ||
      worker->state() == v1::Worker::OFFLINE) {
    return out;
  }
  const std::string& address = worker->record.worker().address();
  std::string fault;
  if (!answer.ok()) {
    fault = absl::StrCat("no answer at ", address, ": ", std::string(answer.status().message()));
  } else if (answer->worker_id() != worker_id) {
    fault = absl::StrCat("worker ", answer->worker_id(), " answers at ", address);
  }
  if (!fault.empty()) {
    set_worker_state(*worker, v1::Worker::UNREACHABLE, fault);
    if (worker->stream != 0) {
      const auto delay =
          kFirstCallBackRetry * (1U << std::min(worker->failed_call_backs, kMostCallBackDoublings));
      ++worker->failed_call_backs;
      timers_.add({now.boot + delay, TimerKind::kCallBack, worker_id, session});
    }
    return seal(std::move(out), now);
  }
  if (worker->stream == 0) return out;  // it lives and will open a session
  worker->called_back = true;
  worker->failed_call_backs = 0;
  placement_changed_ = true;
  set_worker_state(*worker, v1::Worker::ALIVE, "");
  watch(*worker);
  reconsider_outputs_of(*worker, out);
  return seal(std::move(out), now);
}

void Scheduler::send_drain(const WorkerEntry& worker, Decision& out) {
  if (worker.stream == 0) return;  // told when its next session opens
  SendDown order{worker.stream, message_to(worker)};
  order.message.mutable_drain()->set_draining(worker.record.worker().draining());
  out.effects.emplace_back(std::move(order));
}

void Scheduler::send_doomed(const WorkerEntry& worker, Decision& out) {
  if (worker.stream == 0 || !worker.has_feature("delete_outputs")) return;
  SendDoomed order{worker.id(), worker.stream, message_to(worker)};
  order.message.mutable_delete_outputs();
  out.effects.emplace_back(std::move(order));
}

}  // namespace clusterd
