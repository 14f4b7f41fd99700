// Members: registration, sessions, inventories, silence.

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kFirstCallBackRetry = std::chrono::milliseconds(200);
constexpr uint32_t kMostCallBackDoublings = 5;
constexpr auto kStall = std::chrono::seconds(2);

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

void Scheduler::members_changed() {
  placement_changed_ = true;
  jobs_.readmit_unfit();
}

void Scheduler::persist_worker(WorkerEntry& worker, Decision& out) {
  members_changed();
  out.persist.put_workers.push_back(worker.record);
  workers_commit_ = commit_ + 1;
}

void Scheduler::set_worker_state(WorkerEntry& worker, v1::Worker::State state,
                                 const std::string& reason, Decision& out) {
  v1::Worker& shown_worker = *worker.record.mutable_worker();
  if (shown_worker.state() == state && shown_worker.reason() == reason) return;
  shown_worker.set_state(state);
  shown_worker.set_reason(reason);
  persist_worker(worker, out);
}

absl::StatusOr<WorkerEntry*> Scheduler::admit(const RegisterOrder& order, Now now) {
  const v1::WorkerIdentity& identity = order.request.identity();
  WorkerEntry* known = identity.worker_id().empty() ? nullptr : workers_.find(identity.worker_id());
  if (known != nullptr) {
    if (known->record.secret_sha256() != order.presented_sha256) {
      return absl::PermissionDeniedError(
          absl::StrCat("worker ", identity.worker_id(), ": wrong secret"));
    }
    if (known->stream != 0 && known->record.identity().machine_id() != identity.machine_id()) {
      return absl::AlreadyExistsError(
          absl::StrCat("worker ", identity.worker_id(), " is connected from another machine"));
    }
  }
  const std::string id =
      identity.worker_id().empty() ? order.fresh_worker_id : identity.worker_id();
  const WorkerEntry* holder = workers_.find_by_id_or_name(order.request.name());
  if (order.request.name_is_configured() && holder != nullptr && holder->id() != id) {
    return field_error(absl::StatusCode::kAlreadyExists, "name",
                       absl::StrCat("\"", order.request.name(), "\" is worker ", holder->id()));
  }
  if (known != nullptr) return known;
  internal::WorkerRecord record;
  record.mutable_worker()->set_worker_id(id);
  record.mutable_worker()->set_state(v1::Worker::UNREACHABLE);
  record.mutable_worker()->set_reason("has registered and not opened its session yet");
  record.set_secret_sha256(identity.worker_id().empty() ? order.fresh_sha256
                                                        : order.presented_sha256);
  *record.mutable_identity() = identity;
  return &workers_.insert(std::move(record), now.boot);
}

Decision Scheduler::register_worker(CallId call, const RegisterOrder& order, Now now) {
  Decision out;
  const auto admitted = admit(order, now);
  if (!admitted.ok()) {
    out.effects.emplace_back(Reply{call, admitted.status()});
    return out;
  }
  WorkerEntry& worker = **admitted;
  v1::Worker& shown_worker = *worker.record.mutable_worker();
  // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): admit() gives no null pointer
  shown_worker.set_name(workers_.free_name(order.request.name(), worker.id()));
  shown_worker.set_address(order.request.address());
  shown_worker.set_version(order.request.identity().version());
  *shown_worker.mutable_labels() = order.request.labels();
  *shown_worker.mutable_capacity() = order.request.capacity();
  *shown_worker.mutable_last_seen() = to_proto(now.wall);
  if (shown_worker.state() == v1::Worker::LEFT || shown_worker.state() == v1::Worker::OFFLINE) {
    set_worker_state(worker, v1::Worker::UNREACHABLE,
                     "has registered and not opened its session yet", out);
  }
  worker.record.set_name_is_configured(order.request.name_is_configured());
  persist_worker(worker, out);

  v1::RegisterWorkerResponse answer;
  answer.set_worker_id(worker.id());
  answer.set_secret(order.request.identity().worker_id().empty() ? order.fresh_secret
                                                                 : order.request.secret());
  answer.set_name(worker.name());
  answer.set_epoch(epoch_);
  *answer.mutable_heartbeat_interval() = to_proto(config_.heartbeat_interval);
  *answer.mutable_worker_timeout() = to_proto(config_.worker_timeout);
  *answer.mutable_lost_after() = to_proto(config_.lost_after);
  out.effects.emplace_back(Reply{call, Answer(std::move(answer))});
  return seal(std::move(out));
}

Decision Scheduler::deregister_worker(CallId call, const v1::DeregisterWorkerRequest& request,
                                      const std::string& presented_sha256, Now now) {
  (void)now;
  Decision out;
  WorkerEntry* worker = workers_.find(request.worker_id());
  if (worker == nullptr) {
    out.effects.emplace_back(
        Reply{call, absl::NotFoundError("worker not found: " + request.worker_id())});
    return out;
  }
  if (worker->record.secret_sha256() != presented_sha256) {
    out.effects.emplace_back(Reply{
        call, absl::PermissionDeniedError("worker " + request.worker_id() + ": wrong secret")});
    return out;
  }
  const bool leaves = request.leaving() && worker->jobs.empty();
  // One that goes offline may keep its session until its jobs have ended, and tell of them.
  if (leaves && worker->stream != 0) {
    out.effects.emplace_back(CloseStream{worker->stream, absl::OkStatus()});
    workers_.set_stream(*worker, 0);
    worker->called_back = false;
  }
  set_worker_state(*worker, leaves ? v1::Worker::LEFT : v1::Worker::OFFLINE,
                   leaves ? "" : "it stopped in order", out);
  reconsider_outputs_of(*worker, out);
  out.effects.emplace_back(Reply{call, Answer(v1::DeregisterWorkerResponse())});
  return seal(std::move(out));
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
  const bool same_journal = same_boot_and_journal(worker->record.identity(), hello.identity());
  worker->session = ++last_session_;
  workers_.set_stream(*worker, stream);
  worker->called_back = false;
  worker->failed_call_backs = 0;
  worker->last_heard = now.boot;
  *worker->record.mutable_worker()->mutable_last_seen() = to_proto(now.wall);
  *worker->record.mutable_identity() = hello.identity();
  persist_worker(*worker, out);
  timers_.add({now.boot + config_.worker_timeout, TimerKind::kSilence, worker->id()});

  SendDown welcome{stream, message_to(*worker)};
  welcome.message.mutable_welcome()->set_epoch(epoch_);
  welcome.message.mutable_welcome()->set_session(worker->session);
  out.effects.emplace_back(std::move(welcome));
  reconcile(*worker, hello, same_journal, out, now);
  out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                    .session = worker->session,
                                    .address = worker->record.worker().address(),
                                    .fresh = true});
  return seal(std::move(out));
}

void Scheduler::reconcile(WorkerEntry& worker, const v1::SessionHello& hello, bool same_journal,
                          Decision& out, Now now) {
  std::unordered_map<std::string, const v1::HeldAttempt*> held;
  v1::SessionResponse acknowledged = message_to(worker);
  v1::SessionResponse fenced = message_to(worker);
  for (const v1::HeldAttempt& attempt : hello.inventory()) {
    if (current_attempt(attempt.key(), worker.id()) != nullptr) {
      held[attempt.key().job_id()] = &attempt;
    } else if (attempt.has_end()) {
      *acknowledged.mutable_acknowledged()->add_keys() = attempt.key();
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
    } else if (same_journal && live.job.state() == v1::Job::STARTING) {
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
      end.set_message(same_journal ? "the worker no longer knows this attempt"
                                   : "the worker's machine or its journal was replaced");
      attempt_ended(live, end, now.wall, out, now);
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
  live.order_pending = false;
  live.resends = 0;
  if (held.started()) {
    v1::JobEvent event;
    *event.mutable_time() = held.start_time();
    event.mutable_started()->set_output_path(held.output_path());
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
  worker->last_heard = now.boot;
  *worker->record.mutable_worker()->mutable_last_seen() = to_proto(now.wall);
  if (worker->state() == v1::Worker::UNREACHABLE && worker->called_back) {
    worker->called_back = false;  // it was silent: ALIVE again once it answers at its address
    out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                      .session = worker->session,
                                      .address = worker->record.worker().address()});
  }
  if (message.has_heartbeat()) {
    SendDown answer{stream, message_to(*worker)};
    answer.message.mutable_heartbeat()->set_number(message.heartbeat().number());
    out.effects.emplace_back(std::move(answer));
  } else if (message.has_events()) {
    apply_events(*worker, message.events(), out, now);
  }
  return seal(std::move(out));
}

void Scheduler::apply_events(WorkerEntry& worker, const v1::JobEvents& events, Decision& out,
                             Now now) {
  SendDown answer{worker.stream, message_to(worker)};
  SendDown fence{worker.stream, message_to(worker)};
  for (const v1::JobEvent& event : events.events()) {
    LiveJob* live = current_attempt(event.key(), worker.id());
    if (event.has_ended()) {
      *answer.message.mutable_acknowledged()->add_keys() = event.key();
      if (live != nullptr) {
        attempt_ended(*live, event.ended(), from_proto(event.time()), out, now);
      } else if (const LiveJob* ended = jobs_.find(event.key().job_id())) {
        out.after = std::max(out.after, ended->commit);  // said twice: its end may not be durable
      }
    } else if (live == nullptr) {
      if (event.has_started()) *fence.message.mutable_fenced()->add_keys() = event.key();
    } else if (event.has_started()) {
      attempt_started(*live, event, out, now);
    } else if (event.has_refused()) {
      if (live->job.state() == v1::Job::STARTING) {
        attempt_refused(*live, from_proto(event.refused()), out, now);
      }
    } else {
      live->job.set_suspended(event.suspended());
      mark(*live);
    }
  }
  if (answer.message.has_acknowledged()) out.effects.emplace_back(std::move(answer));
  if (fence.message.has_fenced()) out.effects.emplace_back(std::move(fence));
}

Decision Scheduler::session_closed(StreamId stream, Now now) {
  (void)now;
  Decision out;
  WorkerEntry* worker = workers_.find_by_stream(stream);
  if (worker == nullptr) return out;  // superseded
  workers_.set_stream(*worker, 0);
  worker->called_back = false;
  members_changed();
  // Is it gone, or is this only the stream? Asked at once rather than after worker_timeout.
  out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                    .session = worker->session,
                                    .address = worker->record.worker().address(),
                                    .fresh = true});
  return seal(std::move(out));
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
    set_worker_state(*worker, v1::Worker::UNREACHABLE, fault, out);
    if (worker->stream != 0) {
      const auto delay =
          kFirstCallBackRetry * (1U << std::min(worker->failed_call_backs, kMostCallBackDoublings));
      ++worker->failed_call_backs;
      timers_.add({now.boot + delay, TimerKind::kCallBack, worker_id, session});
    }
    return seal(std::move(out));
  }
  if (worker->stream == 0) return out;  // it lives and will open a session
  worker->called_back = true;
  worker->failed_call_backs = 0;
  set_worker_state(*worker, v1::Worker::ALIVE, "", out);
  timers_.add({worker->last_heard + config_.worker_timeout, TimerKind::kSilence, worker_id});
  reconsider_outputs_of(*worker, out);
  return seal(std::move(out));
}

void Scheduler::check_silence(const std::string& worker_id, Decision& out, Now now) {
  WorkerEntry* worker = workers_.find(worker_id);
  if (worker == nullptr || worker->state() != v1::Worker::ALIVE) return;
  const BootTime deadline = worker->last_heard + config_.worker_timeout;
  if (now.boot < deadline) {
    timers_.add({deadline, TimerKind::kSilence, worker_id});
    return;
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now.boot - worker->last_heard).count();
  set_worker_state(*worker, v1::Worker::UNREACHABLE, absl::StrCat("silent for ", seconds, " s"),
                   out);
}

void Scheduler::shift_for_stall(Now now) {
  if (!expected_tick_ || now.boot < *expected_tick_ + kStall) return;
  // It was this process that did not run: what was said meanwhile is still to be read.
  const auto gap = now.boot - last_tick_;
  workers_.for_each([gap](WorkerEntry& worker) { worker.last_heard += gap; });
}

Decision Scheduler::tick(Now now) {
  Decision out;
  shift_for_stall(now);
  while (const auto timer = timers_.take_due(now.boot)) {
    switch (timer->kind) {
      case TimerKind::kStartWait: {
        LiveJob* live = jobs_.find(timer->subject);
        if (live == nullptr || live->start_call == 0) break;
        out.after = std::max(out.after, live->commit);
        out.effects.emplace_back(
            Reply{std::exchange(live->start_call, 0), Answer(shown(live->job))});
        reconsider(*live, out);  // repetitions of the call wait with it
        break;
      }
      case TimerKind::kResend:
        resend_order(timer->subject, out);
        break;
      case TimerKind::kWait:
        expire(timer->number, out);
        break;
      case TimerKind::kSilence:
        check_silence(timer->subject, out, now);
        break;
      case TimerKind::kCallBack: {
        const WorkerEntry* worker = workers_.find(timer->subject);
        if (worker == nullptr || worker->session != timer->number || worker->stream == 0) break;
        out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                          .session = worker->session,
                                          .address = worker->record.worker().address()});
        break;
      }
    }
  }
  last_tick_ = now.boot;
  expected_tick_ = timers_.next();
  return seal(std::move(out));
}

}  // namespace clusterd
