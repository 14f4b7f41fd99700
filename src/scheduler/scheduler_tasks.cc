// Arrays and broadcasts: their tasks, and what becomes of the whole.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/proto_time.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

// Tasks of an array that is retried are read this many at a time.
constexpr size_t kRetriesAtOnce = 200;

uint32_t index_of(const v1::Job& array, uint32_t position) {
  return array.spec().has_array() ? task_index(array.spec().array(), position) : position;
}

}  // namespace

LiveJob& Scheduler::add_task(LiveJob& array, uint32_t position, v1::Job job) {
  LiveJob task;
  task.array_id_size = static_cast<uint32_t>(array.job.job_id().size());
  task.position = position;
  job.set_retries(array.job.retries());
  job.set_state(v1::Job::QUEUED);
  const auto waiters = task_waiters_.find(job.job_id());
  if (waiters != task_waiters_.end()) {
    task.waiters.edit() = std::move(waiters->second);
    task_waiters_.erase(waiters);
  }
  task.job = std::move(job);
  LiveJob& kept = jobs_.insert(std::move(task));
  array.tasks->set_state(position, v1::Job::QUEUED);
  array.tasks->live_tasks.insert(kept.job.job_id());
  mark(kept);
  mark_quietly(array);
  return kept;
}

LiveJob& Scheduler::make_task(LiveJob& array, uint32_t position) {
  return add_task(array, position, unstarted_task(array.job, index_of(array.job, position)));
}

absl::Status Scheduler::check_broadcast(const v1::JobSpec& spec) {
  if (!workers_.matching(Shape::of(spec, "")).empty()) return absl::OkStatus();
  return absl::UnavailableError("no worker that takes jobs meets what the job asks of it");
}

void Scheduler::expand_broadcast(LiveJob& live, Decision& out, Now now) {
  const std::vector<WorkerEntry*> workers = workers_.matching(Shape::of(live.job.spec(), ""));
  if (workers.empty()) {
    v1::JobEnd end;
    end.set_reason(v1::JobEnd::START_FAILED);
    end.set_message(std::string(check_broadcast(live.job.spec()).message()));
    return finish(live, end, now.wall, out, now);
  }
  jobs_.set_waiting_tasks(live, false);
  live.tasks = std::make_unique<TaskGroup>(static_cast<uint32_t>(workers.size()), 0);
  for (uint32_t position = 0; position < workers.size(); ++position) {
    v1::Job job = unstarted_task(live.job, position);
    job.mutable_spec()->set_worker_id(workers[position]->id());
    job.set_worker_id(workers[position]->id());
    refresh(add_task(live, position, std::move(job)), out, now);
  }
}

void Scheduler::task_changed(LiveJob& task, Decision& out, Now now) {
  if (!task.is_task()) return;
  LiveJob* array = jobs_.find(task.array_id());
  if (array == nullptr) return;
  TaskGroup& group = *array->tasks;
  const bool was_full = group.is_full();
  group.set_state(task.position, task.job.state());
  if (is_final(task.job.state())) group.live_tasks.erase(task.job.job_id());
  mark_quietly(*array);
  if (was_full != group.is_full()) {
    refresh(*array, out, now);
    for (const std::string& other : group.live_tasks) {
      LiveJob& live = *jobs_.find(other);
      if (live.job.state() == v1::Job::QUEUED) refresh(live, out, now);
    }
  }
  if (!is_final(task.job.state())) return;
  if (task.job.state() != v1::Job::SUCCEEDED) fail_gang(*array, task, out, now);
  if (group.live_tasks.size() < kRetriesAtOnce / 2) retry_more_tasks(*array, out, now);
  settle_array(*array, out, now);
}

void Scheduler::end_unstarted(LiveJob& array, const v1::JobEnd& end, Decision& out, Now now) {
  if (!array.job.has_unstarted_end()) *array.job.mutable_unstarted_end() = end;
  mark(array);
  refresh(array, out, now);
  const std::string first = array.job.job_id() + ".";
  const auto ended_task = [this, &array](const std::string& id) -> std::optional<v1::Job> {
    LiveJob* owner = nullptr;
    if (!unrecorded_task(id, &owner)) return std::nullopt;
    return unstarted_task(array.job, split_task_id(id)->second);
  };
  std::vector<v1::Job> awaited;
  for (auto entry = dependents_.lower_bound(first);
       entry != dependents_.end() && entry->first.starts_with(first); ++entry) {
    if (auto task = ended_task(entry->first)) awaited.push_back(*std::move(task));
  }
  for (const v1::Job& task : awaited) tell_dependents(task, out, now);
  std::vector<CallId> waiters;
  for (auto entry = task_waiters_.lower_bound(first);
       entry != task_waiters_.end() && entry->first.starts_with(first); ++entry) {
    waiters.insert(waiters.end(), entry->second.begin(), entry->second.end());
  }
  for (const CallId call : waiters) ask_again(call, out);
  settle_array(array, out, now);
}

void Scheduler::stop_tasks(LiveJob& array, Decision& out, Now now) {
  const v1::StopRequest wish = array.job.stop_requested();
  array.tasks->end_retry();
  const std::set<std::string> live_tasks = array.tasks->live_tasks;
  for (const std::string& id : live_tasks) {
    if (LiveJob* task = jobs_.find(id)) stop_live(*task, wish, out, now);
  }
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
  end.set_message("stopped while it was queued");
  end_unstarted(array, end, out, now);
}

void Scheduler::settle_array(LiveJob& array, Decision& out, Now now) {
  TaskGroup& group = *array.tasks;
  if (is_final(array.job.state())) return;
  const bool unstarted_wait = group.unstarted() > 0 && !array.job.has_unstarted_end();
  const bool expands = group.size() == 0 && !array.job.has_unstarted_end();
  if (group.live() > 0 || unstarted_wait || expands || group.retrying() || group.lookups > 0) {
    return;
  }
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::EXITED);
  if (group.size() > 0 && group.all_succeeded()) {
    end.set_exit_code(0);
  } else if (array.job.has_stop_requested()) {
    end.set_reason(v1::JobEnd::STOP_REQUESTED);
  } else if (group.unstarted() == group.size()) {
    end = array.job.unstarted_end();
  } else {
    end.set_message(absl::StrCat(group.size() - group.succeeded(), " of ", group.size(),
                                 " tasks did not succeed"));
  }
  finish(array, end, now.wall, out, now);
}

void Scheduler::retry_more_tasks(LiveJob& array, Decision& out, Now now) {
  if (!array.tasks->retrying() || array.tasks->lookups > 0) return;
  LookUp question;
  for (const uint32_t position : array.tasks->take_retries(kRetriesAtOnce)) {
    question.job_ids.push_back(task_id(array.job.job_id(), index_of(array.job, position)));
  }
  if (question.job_ids.empty()) return settle_array(array, out, now);
  ++array.tasks->lookups;
  look_up(
      std::move(question), 0,
      [this, array_id = array.job.job_id()](absl::StatusOr<LookedUp> found, Decision& later,
                                            Now then) {
        LiveJob* owner = jobs_.find(array_id);
        if (owner == nullptr) return;
        --owner->tasks->lookups;
        if (!found.ok()) {
          owner->tasks->begin_retry();  // from the first: those that were revived stay
          return read_again(array_id, then);
        }
        revive_tasks(*owner, found->jobs, later, then);
        if (owner->tasks->live_tasks.size() < kRetriesAtOnce / 2) {
          retry_more_tasks(*owner, later, then);
        }
        settle_array(*owner, later, then);
      },
      out);
}

void Scheduler::revive_tasks(LiveJob& array, const std::vector<absl::StatusOr<v1::Job>>& tasks,
                             Decision& out, Now now) {
  for (const absl::StatusOr<v1::Job>& task : tasks) {
    const bool due = task.ok() && is_final(task->state()) && task->state() != v1::Job::SUCCEEDED &&
                     task->retries() < array.job.retries() && !array.job.has_stop_requested();
    if (due && jobs_.find(task->job_id()) == nullptr) revive_task(array, *task, out, now);
  }
}

LiveJob& Scheduler::revive_task(LiveJob& array, v1::Job task, Decision& out, Now now) {
  const uint32_t index = split_task_id(task.job_id())->second;
  const uint32_t position =
      array.job.spec().has_array() ? *task_position(array.job.spec().array(), index) : index;
  jobs_.erase(task.job_id());  // where its end is not durable yet
  make_stale(task.job_id());
  clear_end(task);
  LiveJob& live = add_task(array, position, std::move(task));
  refresh(live, out, now);
  return live;
}

}  // namespace clusterd
