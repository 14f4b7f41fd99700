// What is too old, or too much, is deleted.

#include <algorithm>
#include <chrono>
#include <utility>

#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kBetweenSweeps = std::chrono::seconds(60);
constexpr size_t kMostAtOnce = 500;
constexpr std::chrono::nanoseconds kKeysKeptAtLeast = std::chrono::hours(24);

}  // namespace

void Scheduler::look_for_expired(Decision& out, Now now) {
  timers_.add({now.boot + kBetweenSweeps, TimerKind::kRetention, ""});
  out.effects.emplace_back(FindExpired{.before = now.wall - config_.retention.max_age,
                                       .max_jobs = config_.retention.max_jobs,
                                       .limit = kMostAtOnce});
  forget_left_workers(out, now);
  out.persist.upkeep = now.wall - std::max(kKeysKeptAtLeast, config_.retention.max_age);
  workers_.for_each([this, &out](const WorkerEntry& worker) { send_doomed(worker, out); });
}

void Scheduler::forget_left_workers(Decision& out, Now now) {
  const WallTime before = now.wall - std::max(kKeysKeptAtLeast, config_.retention.max_age);
  std::vector<std::string> gone;
  workers_.for_each([before, &gone](const WorkerEntry& worker) {
    if (worker.state() != v1::Worker::LEFT) return;
    const bool told = worker.record.has_left_time();  // an older version does not
    const WallTime left =
        from_proto(told ? worker.record.left_time() : worker.record.worker().last_seen());
    if (left < before) gone.push_back(worker.id());
  });
  for (const std::string& worker_id : gone) {
    if (marked_workers_.contains(worker_id)) continue;
    workers_.erase(worker_id);
    out.persist.delete_workers.push_back(worker_id);
    out.effects.emplace_back(ForgetLink{worker_id});
  }
}

Decision Scheduler::expired(const std::vector<std::string>& job_ids, Now now) {
  Decision out;
  if (job_ids.empty()) return out;
  const bool more = job_ids.size() == kMostAtOnce;
  look_up(
      {.job_ids = job_ids}, 0,
      [this, more](absl::StatusOr<LookedUp> found, Decision& later, Now then) {
        if (!found.ok()) return;
        for (const absl::StatusOr<v1::Job>& job : found->jobs) {
          if (!job.ok() || !is_final(job->state())) continue;
          if (jobs_.find(job->job_id()) == nullptr) erase_ended(*job, later, then);
        }
        if (more) timers_.add({then.boot, TimerKind::kRetention, ""});
      },
      out);
  return seal(std::move(out), now);
}

}  // namespace clusterd
