// From the queue to a worker, and back for another attempt.

#include <algorithm>
#include <limits>
#include <utility>

#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {

void Scheduler::place(Decision& out, Now now) {
  if (!placement_changed_ || jobs_.ready().empty()) return;
  // Workers that the first of a line, which does not fit yet, waits for: nobody behind it gets
  // their room.
  std::set<const WorkerEntry*> reserved;
  bool room = workers_.any_room();
  QueueKey from{.descending_priority = std::numeric_limits<int32_t>::min()};
  while (room) {
    const ReadyQueue::Head head = jobs_.ready().first_at_or_after(from);
    if (head.line == nullptr) break;
    from = head.key;
    WorkerEntry* worker = workers_.best_for(head.line->shape, reserved);
    if (worker == nullptr) {
      const WorkerEntry* awaited = workers_.reservation_for(head.line->shape, reserved);
      if (awaited != nullptr) reserved.insert(awaited);
      ++from.position;  // on to what comes behind
      room = workers_.any_room();
      continue;
    }
    LiveJob& live = *jobs_.find(head.job_id());
    if (live.tasks == nullptr) {
      start_attempt(live, *worker, out, now);
    } else {
      start_attempt(make_task(live, *live.tasks->first_unstarted()), *worker, out, now);
      refresh(live, out, now);
    }
  }
  placement_changed_ = false;
}

void Scheduler::start_attempt(LiveJob& live, WorkerEntry& worker, Decision& out, Now now) {
  v1::Job& job = live.job;
  jobs_.set_state(live, v1::Job::STARTING);
  metrics_.attempts.add();
  if (live.eligible_at) metrics_.queue_wait.observe(now.boot - *live.eligible_at);
  live.ordered_at = now.boot;
  live.not_before.reset();
  live.eligible_at.reset();
  job.set_attempt(job.attempt() + 1);
  job.set_worker_id(worker.id());
  job.clear_pending_reason();
  job.clear_start_time();
  job.clear_output_path();
  job.clear_progress();
  v1::Attempt& attempt = *job.add_attempts();
  attempt.set_number(job.attempt());
  attempt.set_worker_id(worker.id());
  WorkerTable::take(worker, job);
  note_probe(worker, live);
  mark(live);
  task_changed(live, out, now);
  send_start(live, worker, out);
}

void Scheduler::requeue(LiveJob& live, std::chrono::nanoseconds delay, Decision& out, Now now) {
  jobs_.set_state(live, v1::Job::QUEUED);
  live.order_pending = false;
  live.eligible_at.reset();
  live.job.clear_suspended();
  hold_until(live, now.boot + delay);
  mark(live);
  reply(std::exchange(live.start_call, 0), Answer(shown(live.job)), out);
  task_changed(live, out, now);
  refresh(live, out, now);
  reconsider(live, out);
}

}  // namespace clusterd
