// From the queue to an end: placement, orders to workers, and what workers say of attempts.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kFirstResend = std::chrono::milliseconds(200);
constexpr uint32_t kMostResendDoublings = 5;

}  // namespace

void Scheduler::place(Decision& out) {
  if (!placement_changed_) return;
  placement_changed_ = false;
  bool any_room = false;
  workers_.for_each([this, &out, &any_room](WorkerEntry& worker) {
    while (worker.takes_jobs()) {
      const JobTable::Queue& queue = jobs_.queue_of(worker.id());
      if (queue.empty()) break;
      LiveJob& head = *jobs_.find(queue.begin()->second);
      if (!WorkerTable::lack_of(worker, head.job.spec()).empty()) break;
      start_attempt(head, worker, out);
    }
    any_room = any_room || (worker.takes_jobs() && worker.record.worker().in_use().slots() <
                                                       worker.record.worker().capacity().slots());
  });
  while (any_room && !jobs_.queue_of("").empty()) {
    LiveJob& head = *jobs_.find(jobs_.queue_of("").begin()->second);
    if (WorkerEntry* worker = workers_.best_for(head.job.spec())) {
      start_attempt(head, *worker, out);
    } else if (workers_.could_fit(head.job.spec())) {
      break;  // it waits for room, and nobody overtakes it
    } else {
      jobs_.set_unfit(head);
    }
  }
  placement_changed_ = false;  // what this itself has changed
}

void Scheduler::start_attempt(LiveJob& live, WorkerEntry& worker, Decision& out) {
  v1::Job& job = live.job;
  jobs_.set_state(live, v1::Job::STARTING);
  job.set_attempt(job.attempt() + 1);
  job.set_worker_id(worker.id());
  job.clear_pending_reason();
  v1::Attempt& attempt = *job.add_attempts();
  attempt.set_number(job.attempt());
  attempt.set_worker_id(worker.id());
  WorkerTable::take(worker, job);
  mark(live);
  send_start(live, worker, out);
}

void Scheduler::send_start(LiveJob& live, WorkerEntry& worker, Decision& out) {
  v1::Attempt& record = *live.job.mutable_attempts()->rbegin();
  record.set_epoch(epoch_);
  record.set_session(worker.session);
  Dispatch order{.worker_id = worker.id(), .session = worker.session};
  order.attempt.mutable_key()->set_job_id(live.job.job_id());
  order.attempt.mutable_key()->set_attempt(live.job.attempt());
  *order.attempt.mutable_spec() = live.job.spec();
  order.attempt.set_trace_parent(live.trace_parent);
  live.order_pending = true;
  out.effects.emplace_back(std::move(order));
}

void Scheduler::send_stop(LiveJob& live, WorkerEntry& worker, Decision& out) {
  if (worker.stream == 0) return;  // sent when its next session opens
  StopAttempt order{.worker_id = worker.id(), .session = worker.session};
  order.key.set_job_id(live.job.job_id());
  order.key.set_attempt(live.job.attempt());
  live.order_pending = true;
  out.effects.emplace_back(std::move(order));
}

LiveJob* Scheduler::current_attempt(const v1::AttemptKey& key, const std::string& worker_id) {
  LiveJob* live = jobs_.find(key.job_id());
  const bool current =
      live != nullptr && live->job.attempt() == key.attempt() &&
      live->job.worker_id() == worker_id &&
      (live->job.state() == v1::Job::STARTING || live->job.state() == v1::Job::RUNNING);
  return current ? live : nullptr;
}

Decision Scheduler::start_answered(const std::string& worker_id, uint64_t session,
                                   const std::vector<v1::AttemptKey>& keys,
                                   const absl::StatusOr<v1::StartJobsResponse>& answer, Now now) {
  Decision out;
  if (!answer.ok()) {
    order_failed(keys, worker_id, session, now);
    return out;
  }
  const WorkerEntry* worker = workers_.find(worker_id);
  // The inventory of a later session has settled these, perhaps by sending them again.
  if (worker == nullptr || worker->session != session) return out;
  for (const v1::StartVerdict& verdict : answer->verdicts()) {
    LiveJob* live = current_attempt(verdict.key(), worker_id);
    if (live == nullptr) continue;
    live->order_pending = false;
    live->resends = 0;
    if (verdict.refusal().code() == 0) continue;  // its start comes as an event
    if (live->job.state() != v1::Job::STARTING) continue;
    attempt_refused(*live, from_proto(verdict.refusal()), out, now);
  }
  return seal(std::move(out));
}

Decision Scheduler::stop_answered(const std::string& worker_id, uint64_t session,
                                  const std::vector<v1::AttemptKey>& keys,
                                  const absl::Status& answer, Now now) {
  if (!answer.ok()) {
    order_failed(keys, worker_id, session, now);
    return {};
  }
  for (const v1::AttemptKey& key : keys) {
    if (LiveJob* live = current_attempt(key, worker_id)) {
      live->order_pending = false;
      live->resends = 0;
    }
  }
  return {};
}

void Scheduler::order_failed(const std::vector<v1::AttemptKey>& keys, const std::string& worker_id,
                             uint64_t session, Now now) {
  const WorkerEntry* worker = workers_.find(worker_id);
  // With the session gone, the inventory of the next one settles what became of the order.
  if (worker == nullptr || worker->session != session || worker->stream == 0) return;
  for (const v1::AttemptKey& key : keys) {
    LiveJob* live = current_attempt(key, worker_id);
    if (live == nullptr) continue;
    const auto delay = kFirstResend * (1U << std::min(live->resends, kMostResendDoublings));
    ++live->resends;
    timers_.add({now.boot + delay, TimerKind::kResend, key.job_id(), session});
  }
}

void Scheduler::resend_order(const std::string& job_id, Decision& out) {
  LiveJob* live = jobs_.find(job_id);
  if (live == nullptr || !live->order_pending) return;
  WorkerEntry* worker = workers_.find(live->job.worker_id());
  if (worker == nullptr || worker->stream == 0) return;
  if (live->job.has_stop_requested()) {
    send_stop(*live, *worker, out);
  } else if (live->job.state() == v1::Job::STARTING) {
    send_start(*live, *worker, out);
  }
}

void Scheduler::attempt_started(LiveJob& live, const v1::JobEvent& event, Decision& out, Now now) {
  if (live.job.state() != v1::Job::STARTING) return;
  jobs_.set_state(live, v1::Job::RUNNING);
  live.order_pending = live.job.has_stop_requested() && live.order_pending;
  *live.job.mutable_start_time() = event.time();
  live.job.set_output_path(event.started().output_path());
  v1::Attempt& attempt = *live.job.mutable_attempts()->rbegin();
  *attempt.mutable_start_time() = event.time();
  attempt.set_output_path(event.started().output_path());
  mark(live);
  (void)now;
  if (live.start_call != 0) {
    out.effects.emplace_back(Reply{std::exchange(live.start_call, 0), Answer(shown(live.job))});
  }
  reconsider(live, out);
}

void Scheduler::attempt_refused(LiveJob& live, const absl::Status& refusal, Decision& out,
                                Now now) {
  if (live.start_call == 0) {  // somebody has seen this job: it ends, it does not vanish
    v1::JobEnd end;
    end.set_reason(v1::JobEnd::START_FAILED);
    end.set_message(std::string(refusal.message()));
    attempt_ended(live, end, now.wall, out, now);
    return;
  }
  if (WorkerEntry* worker = workers_.find(live.job.worker_id())) {
    WorkerTable::release(*worker, live.job);
  }
  placement_changed_ = true;
  out.effects.emplace_back(Reply{live.start_call, refusal});
  for (const CallId waiter : live.waiters) {
    if (parked_.erase(waiter) > 0) out.effects.emplace_back(Reply{waiter, refusal});
  }
  out.persist.delete_jobs.push_back(live.job.job_id());
  if (!live.request_key.empty()) {  // nothing happened: a repetition tries anew
    out.persist.delete_idempotency.push_back(live.request_key);
    first_answers_.erase(live.request_key);
  }
  jobs_.erase(live.job.job_id());
}

void Scheduler::attempt_ended(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out,
                              Now now) {
  v1::Attempt& attempt = *live.job.mutable_attempts()->rbegin();
  *attempt.mutable_end() = end;
  *attempt.mutable_end_time() = to_proto(when);
  if (WorkerEntry* worker = workers_.find(live.job.worker_id())) {
    WorkerTable::release(*worker, live.job);
  }
  finish(live, end, when, out, now);
}

void Scheduler::finish(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out,
                       Now now) {
  (void)now;
  jobs_.set_state(live, state_of(end));
  live.job.clear_pending_reason();
  *live.job.mutable_end() = end;
  *live.job.mutable_end_time() = to_proto(when);
  live.order_pending = false;
  mark(live);
  if (live.start_call != 0) {
    out.effects.emplace_back(Reply{std::exchange(live.start_call, 0), Answer(shown(live.job))});
  }
  reconsider(live, out);
}

}  // namespace clusterd
