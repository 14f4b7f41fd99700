// What a queued job waits for besides room: other jobs, a time, the pause before a retry.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

bool is_met(v1::Dependency::On on, v1::Job::State state) {
  switch (on) {
    case v1::Dependency::ANY:
      return true;
    case v1::Dependency::FAILURE:
      return state != v1::Job::SUCCEEDED;
    default:
      return state == v1::Job::SUCCEEDED;
  }
}

v1::JobEnd dependency_failed(const std::string& message) {
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::DEPENDENCY_FAILED);
  end.set_message(message);
  return end;
}

}  // namespace

void Scheduler::wait_for_dependencies(LiveJob& live) {
  for (const v1::Dependency& dependency : live.job.spec().after()) {
    live.obstacles.edit().unmet.insert(dependency.job_id());
    dependents_[dependency.job_id()].insert(live.job.job_id());
  }
}

void Scheduler::dependencies_read(LiveJob& live, const std::vector<std::string>& asked,
                                  const LookedUp& found, Decision& out, Now now) {
  const std::set<std::string> unmet = live.obstacles->unmet;
  for (const std::string& job_id : unmet) {
    if (is_final(live.job.state())) return;
    LiveJob* array = nullptr;
    if (const LiveJob* other = jobs_.find(job_id)) {
      if (is_final(other->job.state())) meet_dependency(live, v1::Job(other->job), out, now);
    } else if (unrecorded_task(job_id, &array)) {
      const v1::Job task = unstarted_task(array->job, split_task_id(job_id)->second);
      if (is_final(task.state())) meet_dependency(live, task, out, now);
    } else {
      const auto place = std::find(asked.begin(), asked.end(), job_id);
      if (place == asked.end()) continue;
      const auto& read = found.jobs[static_cast<size_t>(place - asked.begin())];
      if (read.ok()) {
        meet_dependency(live, *read, out, now);
      } else {
        forget_dependency(live, job_id);
        end_waiting(live, dependency_failed("job " + job_id + " is not known any more"), out, now);
      }
    }
  }
  if (!is_final(live.job.state())) refresh(live, out, now);
}

void Scheduler::forget_dependency(LiveJob& live, const std::string& job_id) {
  live.obstacles.edit().unmet.erase(job_id);
  const auto entry = dependents_.find(job_id);
  if (entry == dependents_.end()) return;
  entry->second.erase(live.job.job_id());
  if (entry->second.empty()) dependents_.erase(entry);
}

void Scheduler::meet_dependency(LiveJob& live, const v1::Job& ended, Decision& out, Now now) {
  forget_dependency(live, ended.job_id());
  for (const v1::Dependency& dependency : live.job.spec().after()) {
    if (dependency.job_id() != ended.job_id() || is_met(dependency.on(), ended.state())) continue;
    const v1::Dependency::On on = dependency.on() == v1::Dependency::ON_UNSPECIFIED
                                      ? v1::Dependency::SUCCESS
                                      : dependency.on();
    return end_waiting(live,
                       dependency_failed(absl::StrCat(
                           "job ", ended.job_id(), " ended ", v1::Job::State_Name(ended.state()),
                           ", ", v1::Dependency::On_Name(on), " was waited for")),
                       out, now);
  }
}

void Scheduler::tell_dependents(const v1::Job& ended, Decision& out, Now now) {
  const auto entry = dependents_.find(ended.job_id());
  if (entry == dependents_.end()) return;
  const std::set<std::string> waiting = entry->second;
  for (const std::string& job_id : waiting) {
    LiveJob* live = jobs_.find(job_id);
    if (live == nullptr || is_final(live->job.state())) continue;
    meet_dependency(*live, ended, out, now);
    refresh(*live, out, now);
  }
}

void Scheduler::forget_awaited(const std::string& job_id, Decision& out, Now now) {
  const auto entry = dependents_.find(job_id);
  if (entry == dependents_.end()) return;
  const std::set<std::string> waiting = entry->second;
  for (const std::string& id : waiting) {
    LiveJob* live = jobs_.find(id);
    if (live == nullptr) continue;
    forget_dependency(*live, job_id);
    end_waiting(*live, dependency_failed("job " + job_id + " was refused"), out, now);
  }
}

void Scheduler::hold_until(LiveJob& live, BootTime at) {
  live.obstacles.edit().not_before = at;
  timers_.add({at, TimerKind::kEligible, live.job.job_id()});
}

void Scheduler::end_waiting(LiveJob& live, const v1::JobEnd& end, Decision& out, Now now) {
  if (live.tasks != nullptr) {
    end_unstarted(live, end, out, now);
  } else {
    finish(live, end, now.wall, out, now);
  }
}

bool Scheduler::waits_for_room(const LiveJob& live) {
  if (live.tasks == nullptr) return live.job.state() == v1::Job::QUEUED;
  const bool expands = live.job.spec().resources().every_worker() && live.tasks->size() == 0;
  return !is_final(live.job.state()) && !live.job.has_unstarted_end() &&
         (expands || live.tasks->unstarted() > 0);
}

void Scheduler::refresh(LiveJob& live, Decision& out, Now now) {
  const bool waits = waits_for_room(live);
  if (live.tasks != nullptr) jobs_.set_waiting_tasks(live, waits);
  const bool eligible =
      waits && live.obstacles->unmet.empty() && live.obstacles->not_before <= now.boot;
  if (!eligible) return jobs_.set_ready(live, false);
  if (!live.eligible_at) {
    live.eligible_at = now.boot;
    const auto longest = from_proto(live.job.spec().queue_timeout());
    if (longest > longest.zero()) {
      timers_.add({now.boot + longest, TimerKind::kQueueTimeout, live.job.job_id()});
    }
  }
  if (live.tasks != nullptr && live.tasks->size() == 0) return expand_broadcast(live, out, now);
  const LiveJob* array = live.is_task() ? jobs_.find(live.array_id()) : &live;
  const bool full = array != nullptr && array->tasks != nullptr && array->tasks->is_full();
  jobs_.set_ready(live, !full);
  placement_changed_ = placement_changed_ || live.line != nullptr;
}

void Scheduler::check_queue_timeout(const std::string& job_id, Decision& out, Now now) {
  LiveJob* live = jobs_.find(job_id);
  if (live == nullptr || !waits_for_room(*live) || !live->eligible_at) return;
  const auto longest = from_proto(live->job.spec().queue_timeout());
  if (now.boot < *live->eligible_at + longest) return;  // it has run in between, and waits again
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::QUEUE_TIMED_OUT);
  end.set_message(
      absl::StrCat("waited for room for longer than queue_timeout: ", pending_reason(*live)));
  end_waiting(*live, end, out, now);
}

std::string Scheduler::pending_reason(const LiveJob& live) {
  if (!waits_for_room(live)) return "";
  if (!live.obstacles->unmet.empty()) {
    const std::string first = "waits for job " + *live.obstacles->unmet.begin();
    return live.obstacles->unmet.size() == 1
               ? first
               : absl::StrCat(first, " and ", live.obstacles->unmet.size() - 1, " more");
  }
  if (!live.eligible_at) {
    return live.job.attempts_size() > 0
               ? absl::StrCat("waits before attempt ", live.job.attempt() + 1)
               : "waits for its start time";
  }
  const LiveJob* array = live.is_task() ? jobs_.find(live.array_id()) : &live;
  if (array != nullptr && array->tasks != nullptr && array->tasks->is_full()) {
    return "as many tasks run as max_parallel allows";
  }
  const Shape shape = Shape::of(live.job.spec(), live.target());
  const std::string obstacle =
      jobs_.queues().obstacle(queue_of(live.job.spec()), std::max(1U, shape.gang_size));
  if (!obstacle.empty()) return obstacle;
  return workers_.shortage(shape);
}

}  // namespace clusterd
