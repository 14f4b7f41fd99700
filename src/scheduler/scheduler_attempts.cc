// Orders to workers about attempts, and what workers say of them.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/utf8.h"
#include "core/worker_fault.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kFirstResend = std::chrono::milliseconds(200);
constexpr uint32_t kMostResendDoublings = 5;

// Keeps the true end of an attempt that had been given up. False: nothing to keep.
bool set_late_end(v1::Job& job, const v1::AttemptKey& key, const v1::JobEnd& end) {
  for (v1::Attempt& attempt : *job.mutable_attempts()) {
    const bool given_up =
        attempt.number() == key.attempt() && attempt.end().reason() == v1::JobEnd::WORKER_LOST;
    if (!given_up || attempt.has_late_end() || end.reason() == v1::JobEnd::WORKER_LOST) continue;
    *attempt.mutable_late_end() = end;
    return true;
  }
  return false;
}

// A job may have many attempts, and its record is to stay small: of an attempt that was followed by
// others, the end keeps its reason and numbers, and the beginning of what it says.
void shorten_earlier_ends(v1::Job& job) {
  constexpr int kWhole = 3;
  constexpr size_t kMessageBytes = 200;
  if (job.attempts_size() <= kWhole) return;
  v1::JobEnd& end = *job.mutable_attempts(job.attempts_size() - 1 - kWhole)->mutable_end();
  end.clear_output_tail();
  if (end.message().size() > kMessageBytes) {
    end.set_message(to_valid_utf8(end.message().substr(0, kMessageBytes)) + "…");
  }
}

}  // namespace

void Scheduler::send_start(LiveJob& live, WorkerEntry& worker, Decision& out) {
  if (live.job.spec().has_gang() && !know_peers(live, out)) return;
  v1::Attempt& record = *live.job.mutable_attempts()->rbegin();
  record.set_epoch(epoch_);
  record.set_session(worker.session);
  Dispatch order{.worker_id = worker.id(), .session = worker.session};
  order.attempt.mutable_key()->set_job_id(live.job.job_id());
  order.attempt.mutable_key()->set_attempt(live.job.attempt());
  *order.attempt.mutable_spec() = live.job.spec();
  order.attempt.set_trace_parent(live.job.trace_parent());
  *order.attempt.mutable_units() = record.units();
  if (fences_itself(live.job.spec())) {
    const auto silence = lost_after(live.job.spec());
    *order.attempt.mutable_fence_after() = to_proto(silence - fence_margin(silence));
  }
  if (const LiveJob* array = live.is_task() ? jobs_.find(live.array_id()) : nullptr) {
    order.attempt.set_task_index(split_task_id(live.job.job_id())->second);
    order.attempt.set_task_count(array->tasks->size());
    const std::vector<std::string>& peers = array->tasks->peers;
    order.attempt.mutable_peers()->Add(peers.begin(), peers.end());
    if (live.job.spec().has_script()) {
      *order.attempt.mutable_spec()->mutable_script() = array->job.spec().script();
    }
  }
  live.order.edit().is_pending = true;
  out.effects.emplace_back(std::move(order));
}

void Scheduler::send_stop(LiveJob& live, WorkerEntry& worker, Decision& out) {
  if (worker.stream == 0) return;  // sent when its next session opens
  StopAttempt order{.worker_id = worker.id(), .session = worker.session};
  order.key.set_job_id(live.job.job_id());
  order.key.set_attempt(live.job.attempt());
  live.order.edit().is_pending = true;
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
    live->order.edit().answered();
    if (verdict.refusal().code() == 0) continue;  // its start comes as an event
    if (live->job.state() != v1::Job::STARTING) continue;
    attempt_refused(*live, from_proto(verdict.refusal()), out, now);
  }
  return seal(std::move(out), now);
}

Decision Scheduler::stop_answered(const std::string& worker_id, uint64_t session,
                                  const std::vector<v1::AttemptKey>& keys,
                                  const absl::Status& answer, Now now) {
  if (!answer.ok()) {
    order_failed(keys, worker_id, session, now);
    return {};
  }
  for (const v1::AttemptKey& key : keys) {
    if (LiveJob* live = current_attempt(key, worker_id)) live->order.edit().answered();
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
    uint32_t& resends = live->order.edit().resends;
    const auto delay = kFirstResend * (1U << std::min(resends, kMostResendDoublings));
    ++resends;
    timers_.add({now.boot + delay, TimerKind::kResend, key.job_id(), session});
  }
}

void Scheduler::resend_order(const std::string& job_id, Decision& out) {
  LiveJob* live = jobs_.find(job_id);
  if (live == nullptr || !live->order->is_pending) return;
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
  if (WorkerEntry* worker = workers_.find(live.job.worker_id())) start_succeeded(*worker);
  if (const BootTime ordered = live.order->attempt_at; ordered != BootTime()) {
    metrics_.dispatch_latency.observe(now.boot - ordered);
  }
  if (!live.job.has_stop_requested()) live.order.edit().is_pending = false;
  *live.job.mutable_start_time() = event.time();
  live.job.set_output_path(event.started().output_path());
  v1::Attempt& attempt = *live.job.mutable_attempts()->rbegin();
  *attempt.mutable_start_time() = event.time();
  attempt.set_output_path(event.started().output_path());
  attempt.set_remote_id(event.started().remote_id());
  mark(live);
  task_changed(live, out, now);
  LiveJob* array = live.is_task() ? jobs_.find(live.array_id()) : nullptr;
  if (array != nullptr && !array->job.has_start_time()) {
    *array->job.mutable_start_time() = event.time();
    mark(*array);
  }
  answer_start(live, out);
  reconsider(live, out);
}

void Scheduler::attempt_refused(LiveJob& live, const absl::Status& refusal, Decision& out,
                                Now now) {
  if (live.submission->start_call ==
      0) {  // somebody has seen this job: it ends, it does not vanish
    v1::JobEnd end;
    end.set_reason(v1::JobEnd::START_FAILED);
    end.set_message(std::string(refusal.message()));
    if (is_workers_fault(refusal)) end.set_worker_at_fault(true);
    attempt_ended(live, end, now.wall, out, now);
    return;
  }
  if (WorkerEntry* worker = workers_.find(live.job.worker_id())) {
    WorkerTable::release(*worker, live.job);
    if (is_workers_fault(refusal)) start_failed(*worker, std::string(refusal.message()), now);
  }
  placement_changed_ = true;
  const std::string job_id = live.job.job_id();
  reply(live.submission->start_call, refusal, out);
  for (const CallId waiter : *live.waiters) {
    if (parked_.erase(waiter) > 0) reply(waiter, refusal, out);
  }
  out.persist.forget_jobs.push_back(job_id);
  unschedule(live.job, out);
  if (const std::string& key = live.submission->request_key; !key.empty()) {
    out.persist.delete_idempotency.push_back(key);  // nothing happened: a repetition tries anew
    first_answers_.erase(key);
  }
  reserve_external_id(live.job);
  jobs_.erase(job_id);
  erased_[job_id] = commit_ + 1;
  v1::Event event;
  event.set_deleted_job_id(job_id);
  add_event(std::move(event), out, now);
  forget_awaited(job_id, out, now);
}

void Scheduler::attempt_ended(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out,
                              Now now, std::chrono::nanoseconds least_delay) {
  if (end.worker_at_fault() && config_.scheduling.quarantine_after == 0) {
    v1::JobEnd plain = end;  // nobody asks whose fault it is
    plain.clear_worker_at_fault();
    return attempt_ended(live, plain, when, out, now, least_delay);
  }
  shorten_earlier_ends(live.job);
  v1::Attempt& attempt = *live.job.mutable_attempts()->rbegin();
  *attempt.mutable_end() = end;
  *attempt.mutable_end_time() = to_proto(when);
  bool was_probe = false;
  if (WorkerEntry* worker = workers_.find(live.job.worker_id())) {
    WorkerTable::release(*worker, live.job);
    was_probe = worker->probe_job == live.job.job_id();
    start_over(*worker, live.job.job_id(), end, now);
  }
  if (was_probe) drop_earlier_probe(live.job);
  placement_changed_ = true;
  if (is_excused(live.job, end, was_probe)) {
    return requeue(live, std::max(excused_delay(live.job), least_delay), out, now);
  }
  if (is_lost_for_good(live.job, end, config_.scheduling.max_losses)) {
    v1::JobEnd last = end;
    absl::StrAppend(last.mutable_message(), "; not tried again: ", losses_of(live.job),
                    " attempts were lost with their workers, as many as max_losses allows");
    return finish(live, last, when, out, now);
  }
  if (!is_retried(live.job, end)) return finish(live, end, when, out, now);
  const auto delay = retry_delay(live.job, end, lost_after(live.job.spec()));
  requeue(live, std::max(delay, least_delay), out, now);
}

void Scheduler::finish(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out,
                       Now now) {
  jobs_.set_state(live, state_of(end));
  if (live.tasks == nullptr) metrics_.ended[static_cast<size_t>(live.job.state())].add();
  jobs_.set_ready(live, false);
  if (live.tasks != nullptr) jobs_.set_waiting_tasks(live, false);
  live.job.clear_pending_reason();
  *live.job.mutable_end() = end;
  *live.job.mutable_end_time() = to_proto(when);
  live.order.reset();
  for (const std::string& awaited : std::set<std::string>(live.obstacles->unmet)) {
    forget_dependency(live, awaited);
  }
  mark(live);
  answer_start(live, out);
  reconsider(live, out);
  if (dependents_.contains(live.job.job_id())) tell_dependents(v1::Job(live.job), out, now);
  task_changed(live, out, now);
}

void Scheduler::late_end(const v1::AttemptKey& key, const v1::JobEnd& end,
                         const WorkerEntry& worker, Decision& out) {
  SendDown acknowledgement{worker.stream, message_to(worker)};
  *acknowledgement.message.mutable_acknowledged()->add_keys() = key;
  if (LiveJob* live = jobs_.find(key.job_id())) {
    if (set_late_end(live->job, key, end)) mark(*live);
    out.after = std::max(out.after, live->commit);  // said twice: its end may not be durable
    out.effects.emplace_back(std::move(acknowledgement));
    return;
  }
  look_up(
      {.job_ids = {key.job_id()}}, 0,
      [this, key, end, worker_id = worker.id(), acknowledgement = std::move(acknowledgement)](
          absl::StatusOr<LookedUp> found, Decision& later, Now) {
        if (!found.ok()) return;  // it says so again in its next session
        const bool gone = absl::IsNotFound(found->jobs[0].status());
        if (!found->jobs[0].ok() && !gone) return;
        if (LiveJob* live = jobs_.find(key.job_id())) {
          if (set_late_end(live->job, key, end)) mark(*live);
        } else if (!gone && set_late_end(*found->jobs[0], key, end)) {
          make_stale(key.job_id());
          later.persist.put_jobs.push_back(*found->jobs[0]);
        }
        later.effects.emplace_back(acknowledgement);
      },
      out);
}

}  // namespace clusterd
