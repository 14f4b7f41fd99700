// One term of office: what it starts from, what every decision ends with, and time.

#include "scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/job_view.h"
#include "core/proto_time.h"
#include "scheduler/retry_rules.h"

namespace clusterd {

Scheduler::Scheduler(const SchedulerConfig& config, StoreContents contents, Now now,
                     SchedulerMetrics* metrics)
    : config_(config),
      own_metrics_(metrics == nullptr ? std::make_unique<SchedulerMetrics>() : nullptr),
      metrics_(metrics == nullptr ? *own_metrics_ : *metrics),
      epoch_(contents.meta.epoch()),
      since_(now.wall),
      schedules_(std::move(contents.schedules), now.boot),
      last_seq_(contents.meta.last_job_seq()),
      last_event_(contents.meta.last_event_seq()) {
  for (const auto& [state, count] : contents.ended_counts) jobs_.set_stored_count(state, count);
  for (internal::WorkerRecord& record : contents.workers) {
    WorkerEntry& worker = workers_.insert(std::move(record), now.boot);
    watch(worker);
    if (worker.in_quarantine()) resume_quarantine(worker, now);
    if (worker.record.has_drain_deadline()) {
      const auto left = from_proto(worker.record.drain_deadline()) - now.wall;
      timers_.add({now.boot + std::max(left, left.zero()), TimerKind::kDrain, worker.id()});
    }
  }
  for (const v1::Queue& queue : contents.queues) jobs_.queues().set_up(queue);
  jobs_.reserve(contents.live_jobs.size());
  for (v1::Job& job : contents.live_jobs) load_job(std::move(job), contents);
  timers_.add({now.boot, TimerKind::kRetention, ""});
}

void Scheduler::load_job(v1::Job job, const StoreContents& contents) {
  LiveJob live;
  last_seq_ = std::max(last_seq_, job.seq());
  if (const auto parts = split_task_id(job.job_id())) {
    live.array_id_size = static_cast<uint32_t>(parts->first.size());
    const LiveJob* array = jobs_.find(parts->first);
    if (array == nullptr) return;  // set aside with its array
    live.position = array->job.spec().has_array()
                        ? task_position(array->job.spec().array(), parts->second).value_or(0)
                        : parts->second;
    array->tasks->live_tasks.insert(job.job_id());
  } else if (has_tasks(job)) {
    const auto found = contents.recorded_tasks.find(job.job_id());
    const RecordedTasks tasks =
        found == contents.recorded_tasks.end() ? RecordedTasks{} : found->second;
    live.tasks = TaskGroup::of(job, tasks);
    if (job.retries() > 0) live.tasks->begin_retry();
  }
  live.job = std::move(job);
  LiveJob& kept = jobs_.insert(std::move(live));
  const v1::Job::State state = kept.job.state();
  if (state == v1::Job::STARTING || state == v1::Job::RUNNING) {
    if (WorkerEntry* worker = workers_.find(kept.job.worker_id())) {
      if (kept.tasks == nullptr) WorkerTable::take(*worker, kept.job);
    }
  }
}

Decision Scheduler::begin(Now now) {
  Decision out;
  const auto waits = [](const LiveJob& live) {
    return live.job.state() == v1::Job::QUEUED || live.tasks != nullptr;
  };
  // None of them leaves the table meanwhile.
  for (LiveJob* live : jobs_.in_order(waits)) resume_waiting(*live, out, now);
  placement_changed_ = true;
  admit_remembered(out);
  fire_schedules(out, now);
  return seal(std::move(out), now);
}

void Scheduler::resume_waiting(LiveJob& live, Decision& out, Now now) {
  v1::Job& job = live.job;
  const bool never_placed = job.attempt() == 0 && job.retries() == 0;
  if (!never_placed && job.attempts_size() > 0) {
    const v1::Attempt& last = *job.attempts().rbegin();
    hold_until(live, now.boot + left_of(retry_delay(job, last.end(), lost_after(job.spec())),
                                        from_proto(last.end_time()), now.wall));
  } else if (job.spec().has_start_at()) {
    hold_until(live, now.boot + left_of({}, from_proto(job.spec().start_at()), now.wall));
  } else if (job.spec().has_start_delay()) {
    hold_until(live, now.boot + left_of(from_proto(job.spec().start_delay()),
                                        from_proto(job.submit_time()), now.wall));
  }
  if (live.tasks != nullptr) retry_more_tasks(live, out, now);
  const std::vector<std::string> unread = dependencies_to_read(job.spec());
  const bool begun = live.tasks != nullptr && live.tasks->unstarted() < live.tasks->size();
  if (job.spec().after().empty() || begun) {
    refresh(live, out, now);
    return;
  }
  wait_for_dependencies(live);
  if (unread.empty()) return dependencies_read(live, {}, LookedUp(), out, now);
  refresh(live, out, now);
  look_up(
      {.job_ids = unread}, 0,
      [this, job_id = job.job_id(), unread](absl::StatusOr<LookedUp> found, Decision& later,
                                            Now then) {
        LiveJob* waiting = jobs_.find(job_id);
        if (waiting == nullptr) return;
        if (!found.ok()) return read_again(job_id, then);
        dependencies_read(*waiting, unread, *found, later, then);
      },
      out);
}

void Scheduler::read_again(const std::string& job_id, Now now) {
  timers_.add({now.boot + kReadAgainAfter, TimerKind::kReadAgain, job_id});
}

void Scheduler::mark_quietly(LiveJob& live) {
  live.commit = commit_ + 1;
  placement_changed_ = true;
  marked_.emplace(live.job.job_id(), false);
  if (live.tasks != nullptr) live.tasks->count_into(live.job, unstarted_state(live.job));
}

void Scheduler::mark(LiveJob& live) {
  mark_quietly(live);
  marked_[live.job.job_id()] = true;
}

void Scheduler::add_event(v1::Event event, Decision& out, Now now) {
  event.set_seq(++last_event_);
  *event.mutable_time() = to_proto(now.wall);
  out.persist.put_events.push_back(std::move(event));
}

Decision Scheduler::seal(Decision out, Now now) {
  place(out, now);
  out.persist.put_jobs.reserve(out.persist.put_jobs.size() + marked_.size());
  for (const auto& [job_id, is_event] : marked_) {
    LiveJob* live = jobs_.find(job_id);
    if (live == nullptr) continue;  // refused: the deletion is in the batch
    v1::Job& record = out.persist.put_jobs.emplace_back(live->job);
    if (waits_for_room(*live)) record.set_pending_reason(pending_reason(*live));
    if (is_final(live->job.state())) jobs_.retire(*live);
    if (!is_event) continue;
    v1::Event event;
    *event.mutable_job() = shown(live->job);
    add_event(std::move(event), out, now);
  }
  marked_.clear();
  for (const std::string& worker_id : marked_workers_) {
    const WorkerEntry& worker = *workers_.find(worker_id);
    out.persist.put_workers.push_back(worker.record);
    v1::Event event;
    *event.mutable_worker() = worker.record.worker();
    add_event(std::move(event), out, now);
  }
  marked_workers_.clear();
  metrics_.oldest_ready_second.store(
      jobs_.oldest_ready_second().value_or(SchedulerMetrics::kNoneIsReady),
      std::memory_order_relaxed);
  if (!out.persist.empty()) out.after = ++commit_;
  return out;
}

v1::Job Scheduler::shown(const v1::Job& job) {
  v1::Job copy = job;
  hide_contents(copy);
  if (is_final(copy.state())) return copy;
  const LiveJob* live = jobs_.find(copy.job_id());
  LiveJob* array = nullptr;
  if (live == nullptr && unrecorded_task(copy.job_id(), &array)) live = array;
  if (copy.state() == v1::Job::QUEUED || (live != nullptr && live->tasks != nullptr)) {
    if (live != nullptr) copy.set_pending_reason(pending_reason(*live));
    return copy;
  }
  const WorkerEntry* worker = workers_.find(copy.worker_id());
  if (worker != nullptr && worker->state() != v1::Worker::ALIVE) {
    *copy.mutable_unreachable_since() = worker->record.worker().last_seen();
  }
  return copy;
}

void Scheduler::reply(CallId call, absl::StatusOr<Answer> answer, Decision& out) {
  if (call != 0) out.effects.emplace_back(Reply{call, std::move(answer)});
}

void Scheduler::answer_start(LiveJob& live, Decision& out) {
  if (live.submission->start_call == 0) return;
  reply(std::exchange(live.submission.edit().start_call, 0), Answer(shown(live.job)), out);
}

void Scheduler::committed(uint64_t number) {
  std::erase_if(first_answers_, [this, number](const auto& entry) {
    if (entry.second.commit > number) return false;
    // A repetition that asked the store before this was durable may come back without it.
    for (const auto& [id, pending] : lookups_) {
      if (pending.question.request_key == entry.first) return false;
    }
    const LiveJob* live = jobs_.find(entry.second.subject_id);
    return live == nullptr || live->submission->start_call == 0;
  });
  std::erase_if(erased_, [number](const auto& entry) { return entry.second <= number; });
  std::erase_if(erased_external_, [number](const auto& entry) { return entry.second <= number; });
  jobs_.evict_until(number);
}

void Scheduler::fire(const Timer& timer, Decision& out, Now now) {
  switch (timer.kind) {
    case TimerKind::kStartWait: {
      LiveJob* live = jobs_.find(timer.subject);
      if (live == nullptr || live->submission->start_call == 0) return;
      out.after = std::max(out.after, live->commit);
      answer_start(*live, out);
      return reconsider(*live, out);  // repetitions of the call wait with it
    }
    case TimerKind::kResend:
      return resend_order(timer.subject, out);
    case TimerKind::kWait:
      if (const auto found = parked_.find(timer.number); found != parked_.end()) {
        found->second.expired = true;
        ask_again(timer.number, out);
      }
      return;
    case TimerKind::kSilence:
      return check_silence(timer, out, now);
    case TimerKind::kCallBack: {
      const WorkerEntry* worker = workers_.find(timer.subject);
      if (worker == nullptr || worker->session != timer.number || worker->stream == 0) return;
      out.effects.emplace_back(CallBack{.worker_id = worker->id(),
                                        .name = worker->name(),
                                        .session = worker->session,
                                        .address = worker->record.worker().address()});
      return;
    }
    case TimerKind::kEligible:
      if (LiveJob* live = jobs_.find(timer.subject)) refresh(*live, out, now);
      return;
    case TimerKind::kQueueTimeout:
      return check_queue_timeout(timer.subject, out, now);
    case TimerKind::kDrain:
      return check_drain(timer.subject, out, now);
    case TimerKind::kRetention:
      return look_for_expired(out, now);
    case TimerKind::kSchedules:
      if (schedules_at_ != timer.at) return;  // an earlier one has been set
      return fire_schedules(out, now);
    case TimerKind::kReadAgain:
      if (LiveJob* live = jobs_.find(timer.subject)) {
        const bool waits = live->job.state() == v1::Job::QUEUED || live->tasks != nullptr;
        if (waits && !is_final(live->job.state())) resume_waiting(*live, out, now);
      }
      return;
    case TimerKind::kProbe:
      return let_probe(timer);
  }
}

Decision Scheduler::tick(Now now) {
  Decision out;
  shift_for_stall(now);
  while (const auto timer = timers_.take_due(now.boot)) fire(*timer, out, now);
  last_tick_ = now.boot;
  expected_tick_ = timers_.next();
  return seal(std::move(out), now);
}

}  // namespace clusterd
