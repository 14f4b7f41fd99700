// From the queue to a worker, and back for another attempt.

#include <algorithm>

#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "scheduler/placement_turns.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

// Where the job could not be started last time by the worker's fault, so that it goes elsewhere if
// it can; empty: nowhere.
std::string worker_that_failed(const v1::Job& job) {
  if (job.attempts().empty()) return "";
  const v1::Attempt& last = *job.attempts().rbegin();
  return last.end().worker_at_fault() ? last.worker_id() : "";
}

}  // namespace

void Scheduler::place(Decision& out, Now now) {
  if (!placement_changed_ || jobs_.ready().empty()) return;
  placement_changed_ = false;
  WorkerTable::Reserved reserved;
  if (!workers_.any_room(reserved)) return;
  PlacementTurns turns(jobs_.ready(), jobs_.queues());
  while (workers_.any_room(reserved)) {
    const ReadyQueue::Head head = turns.next();
    if (head.line == nullptr) break;
    if (head.line->hopeless_in == workers_.generation()) {
      turns.pass(head, true);
    } else if (start_head(head, reserved, out, now)) {
      turns.started();
    } else {
      const bool hopeless = !workers_.reserve_for(head.line->shape, reserved);
      if (hopeless) head.line->hopeless_in = workers_.generation();
      turns.pass(head, hopeless);
    }
  }
  placement_changed_ = false;
}

bool Scheduler::start_head(const ReadyQueue::Head& head, const WorkerTable::Reserved& reserved,
                           Decision& out, Now now) {
  const Shape& shape = head.line->shape;  // gone once its last job has started
  LiveJob& live = head.job();
  if (shape.gang_size > 0) {
    const std::vector<WorkerEntry*> workers = workers_.best_for_gang(shape, reserved);
    if (workers.empty()) return false;
    start_gang(live, workers, out, now);
    return true;
  }
  WorkerEntry* worker = nullptr;
  if (WorkerEntry* failed = workers_.find(worker_that_failed(live.job))) {
    WorkerTable::Reserved others = reserved;
    others.insert(failed);
    worker = workers_.best_for(shape, others);
  }
  if (worker == nullptr) worker = workers_.best_for(shape, reserved);
  if (worker == nullptr) return false;
  if (live.tasks == nullptr) {
    start_attempt(live, *worker, out, now);
  } else {
    start_attempt(make_task(live, *live.tasks->first_unstarted()), *worker, out, now);
    refresh(live, out, now);
  }
  return true;
}

void Scheduler::start_attempt(LiveJob& live, WorkerEntry& worker, Decision& out, Now now) {
  v1::Job& job = live.job;
  jobs_.set_state(live, v1::Job::STARTING);
  metrics_.attempts.add();
  if (live.eligible_at) metrics_.queue_wait.observe(now.boot - *live.eligible_at);
  live.order.edit().attempt_at = now.boot;
  live.obstacles.reset();
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
  *attempt.mutable_units() = free_units(worker.units, job.spec().resources());
  WorkerTable::take(worker, job);
  note_probe(worker, live);
  mark(live);
  task_changed(live, out, now);
  send_start(live, worker, out);
}

void Scheduler::requeue(LiveJob& live, std::chrono::nanoseconds delay, Decision& out, Now now) {
  jobs_.set_state(live, v1::Job::QUEUED);
  live.order.reset();
  live.eligible_at.reset();
  live.job.clear_suspended();
  hold_until(live, now.boot + delay);
  mark(live);
  answer_start(live, out);
  task_changed(live, out, now);
  refresh(live, out, now);
  reconsider(live, out);
}

}  // namespace clusterd
