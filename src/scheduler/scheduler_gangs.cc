// Gangs: arrays whose tasks start in one decision, know of each other, and fail together.

#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {

void Scheduler::start_gang(LiveJob& gang, const std::vector<WorkerEntry*>& workers, Decision& out,
                           Now now) {
  gang.tasks->peers.clear();
  for (const WorkerEntry* worker : workers) gang.tasks->peers.push_back(worker->name());
  for (uint32_t rank = 0; rank < workers.size(); ++rank) {
    start_attempt(make_task(gang, rank), *workers[rank], out, now);
  }
  refresh(gang, out, now);
}

void Scheduler::fail_gang(LiveJob& gang, const LiveJob& task, Decision& out, Now now) {
  const v1::JobSpec& spec = gang.job.spec();
  const bool stops = spec.has_gang() && spec.gang().on_failure() != v1::GangSpec::CONTINUE;
  if (!stops || is_final(gang.job.state())) return;
  v1::StopRequest wish;
  wish.set_who("gang");
  wish.set_reason(
      absl::StrCat("rank ", task.position, " ended ", v1::Job::State_Name(task.job.state())));
  *wish.mutable_when() = to_proto(now.wall);
  for (const std::string& id : std::set<std::string>(gang.tasks->live_tasks)) {
    if (LiveJob* other = jobs_.find(id)) stop_live(*other, wish, out, now);
  }
}

std::string Scheduler::peer_name(const v1::Job& task) {
  const WorkerEntry* worker = workers_.find(task.worker_id());
  return worker == nullptr ? task.worker_id() : worker->name();
}

bool Scheduler::know_peers(LiveJob& task, Decision& out) {
  const LiveJob* gang = jobs_.find(task.array_id());
  if (gang == nullptr || !gang->tasks->peers.empty()) return true;
  // This term did not place it: a task that has ended meanwhile is in the store alone.
  std::vector<std::string> missing;
  for (uint32_t rank = 0; rank < gang->tasks->size(); ++rank) {
    std::string id = task_id(task.array_id(), rank);
    if (jobs_.find(id) == nullptr) missing.push_back(std::move(id));
  }
  if (missing.empty()) {
    for (uint32_t rank = 0; rank < gang->tasks->size(); ++rank) {
      gang->tasks->peers.push_back(peer_name(jobs_.find(task_id(task.array_id(), rank))->job));
    }
    return true;
  }
  LookUp question{.job_ids = missing};
  look_up(
      std::move(question), 0,
      [this, id = task.job.job_id(), missing](absl::StatusOr<LookedUp> found, Decision& later,
                                              Now then) {
        peers_read(id, missing, found, later, then);
      },
      out);
  return false;
}

void Scheduler::peers_read(const std::string& task_id_, const std::vector<std::string>& asked,
                           const absl::StatusOr<LookedUp>& found, Decision& out, Now now) {
  LiveJob* task = jobs_.find(task_id_);
  LiveJob* gang = task == nullptr ? nullptr : jobs_.find(task->array_id());
  if (gang == nullptr || task->job.state() != v1::Job::STARTING) return;
  WorkerEntry* worker = workers_.find(task->job.worker_id());
  if (worker == nullptr || worker->stream == 0) return;  // sent when its next session opens
  if (!found.ok()) {
    task->order.edit().is_pending = true;
    timers_.add({now.boot + kReadAgainAfter, TimerKind::kResend, task_id_, worker->session});
    return;
  }
  std::map<std::string, std::string> names;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (found->jobs[i].ok()) names[asked[i]] = peer_name(*found->jobs[i]);
  }
  gang->tasks->peers.clear();
  for (uint32_t rank = 0; rank < gang->tasks->size(); ++rank) {
    const std::string id = task_id(gang->job.job_id(), rank);
    const LiveJob* live = jobs_.find(id);
    gang->tasks->peers.push_back(live != nullptr ? peer_name(live->job) : names[id]);
  }
  if (task->job.has_stop_requested()) return send_stop(*task, *worker, out);
  mark(*task);
  send_start(*task, *worker, out);
}

}  // namespace clusterd
