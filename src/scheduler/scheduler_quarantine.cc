// Workers at which jobs do not start: kept from jobs, and tried from time to time.

#include <algorithm>
#include <chrono>

#include "core/proto_time.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

// So that a worker serves again within a minute of its mend.
constexpr std::chrono::nanoseconds kLongestBackoff = std::chrono::seconds(30);

}  // namespace

void Scheduler::start_failed(WorkerEntry& worker, const std::string& why, Now now) {
  const auto& settings = config_.scheduling;
  if (settings.quarantine_after == 0 || worker.in_quarantine()) return;
  const BootTime oldest = now.boot - settings.quarantine_window;
  std::erase_if(worker.failed_starts, [oldest](BootTime at) { return at < oldest; });
  worker.failed_starts.push_back(now.boot);
  if (worker.failed_starts.size() < settings.quarantine_after) return;
  worker.failed_starts.clear();
  v1::Quarantine& quarantine = *worker.record.mutable_worker()->mutable_quarantine();
  *quarantine.mutable_since() = to_proto(now.wall);
  quarantine.set_reason(why);
  plan_probe(worker, now);
}

void Scheduler::start_succeeded(WorkerEntry& worker) {
  worker.failed_starts.clear();
  if (!worker.in_quarantine()) return;
  end_quarantine(worker);
  persist_worker(worker);
}

void Scheduler::start_over(WorkerEntry& worker, const std::string& job_id, const v1::JobEnd& end,
                           Now now) {
  const bool failed = end.reason() == v1::JobEnd::START_FAILED && end.worker_at_fault();
  if (worker.probe_job != job_id) {
    if (failed) start_failed(worker, end.message(), now);
    return;
  }
  worker.probe_job.clear();
  if (!failed) {  // stopped, or refused for what it asks: nothing is known of the worker
    worker.probe_due = true;
    workers_.members_changed();
    return;
  }
  v1::Quarantine& quarantine = *worker.record.mutable_worker()->mutable_quarantine();
  quarantine.set_probes(quarantine.probes() + 1);
  quarantine.set_reason(end.message());
  plan_probe(worker, now);
}

void Scheduler::note_probe(WorkerEntry& worker, const LiveJob& live) {
  if (!worker.in_quarantine() || !live.target().empty()) return;
  worker.probe_due = false;
  worker.probe_job = live.job.job_id();
}

void Scheduler::plan_probe(WorkerEntry& worker, Now now) {
  v1::Quarantine& quarantine = *worker.record.mutable_worker()->mutable_quarantine();
  auto delay = std::min(config_.scheduling.quarantine_backoff, kLongestBackoff);
  for (uint32_t i = 0; i < quarantine.probes() && delay < kLongestBackoff; ++i) {
    delay = std::min(2 * delay, kLongestBackoff);
  }
  *quarantine.mutable_next_probe() = to_proto(now.wall + delay);
  worker.probe_at = now.boot + delay;
  timers_.add({*worker.probe_at, TimerKind::kProbe, worker.id()});
  persist_worker(worker);
}

void Scheduler::let_probe(const Timer& timer) {
  WorkerEntry* worker = workers_.find(timer.subject);
  if (worker == nullptr || worker->probe_at != timer.at) return;  // it is over, or planned anew
  worker->probe_at.reset();
  worker->probe_due = true;
  workers_.members_changed();
  placement_changed_ = true;
}

void Scheduler::resume_quarantine(WorkerEntry& worker, Now now) {
  const auto left = left_of(
      kLongestBackoff,
      from_proto(worker.record.worker().quarantine().next_probe()) - kLongestBackoff, now.wall);
  worker.probe_at = now.boot + left;
  timers_.add({*worker.probe_at, TimerKind::kProbe, worker.id()});
}

void Scheduler::end_quarantine(WorkerEntry& worker) {
  worker.record.mutable_worker()->clear_quarantine();
  workers_.members_changed();
  worker.failed_starts.clear();
  worker.probe_at.reset();
  worker.probe_due = false;
  worker.probe_job.clear();
}

}  // namespace clusterd
