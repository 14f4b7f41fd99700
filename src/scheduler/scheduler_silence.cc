// Silence of workers: the two clocks, and what is given up.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kStall = std::chrono::seconds(2);

}  // namespace

std::chrono::nanoseconds Scheduler::lost_after(const v1::JobSpec& spec) const {
  const auto asked =
      spec.has_lost_after() ? from_proto(spec.lost_after()) : config_.scheduling.lost_after;
  return std::max(asked, config_.scheduling.worker_timeout);
}

std::optional<BootTime> Scheduler::silence_deadline(const WorkerEntry& worker) {
  const v1::Worker::State state = worker.state();
  if (state == v1::Worker::LEFT) return std::nullopt;
  if (state == v1::Worker::ALIVE) return worker.last_heard + config_.scheduling.worker_timeout;
  std::optional<BootTime> deadline;
  if (state != v1::Worker::LOST) deadline = worker.last_heard + config_.scheduling.lost_after;
  for (const std::string& job_id : worker.jobs) {
    const BootTime lost = worker.last_heard + lost_after(jobs_.find(job_id)->job.spec());
    deadline = std::min(deadline.value_or(lost), lost);
  }
  return deadline;
}

void Scheduler::watch(WorkerEntry& worker) {
  const auto deadline = silence_deadline(worker);
  if (!deadline || (worker.watched_until && *worker.watched_until <= *deadline)) return;
  worker.watched_until = deadline;
  timers_.add({*deadline, TimerKind::kSilence, worker.id()});
}

void Scheduler::check_silence(const Timer& timer, Decision& out, Now now) {
  WorkerEntry* worker = workers_.find(timer.subject);
  if (worker == nullptr || worker->watched_until != timer.at) return;  // replaced by another
  worker->watched_until.reset();
  const auto silence = now.boot - worker->last_heard;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silence).count();
  const std::string reason = absl::StrCat("silent for ", seconds, " s");
  if (worker->state() == v1::Worker::ALIVE && silence >= config_.scheduling.worker_timeout) {
    set_worker_state(*worker, v1::Worker::UNREACHABLE, reason);
  }
  const bool was_silent =
      worker->state() == v1::Worker::UNREACHABLE || worker->state() == v1::Worker::OFFLINE;
  if (was_silent && silence >= config_.scheduling.lost_after) {
    set_worker_state(*worker, v1::Worker::LOST, reason);
    worker->begin_anew = true;
  }
  if (worker->state() != v1::Worker::ALIVE) {
    const std::vector<std::string> here(worker->jobs.begin(), worker->jobs.end());
    for (const std::string& job_id : here) {
      LiveJob& live = *jobs_.find(job_id);
      if (silence < lost_after(live.job.spec())) continue;
      worker->begin_anew = true;
      lose_attempt(live, absl::StrCat("worker ", worker->name(), " was ", reason),
                   worker->last_heard, out, now);
    }
  }
  watch(*worker);
}

void Scheduler::lose_attempt(LiveJob& live, const std::string& message, BootTime last_heard,
                             Decision& out, Now now) {
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::WORKER_LOST);
  end.set_message(message);
  const auto silence = lost_after(live.job.spec());
  std::chrono::nanoseconds delay{};
  if (fences_itself(live.job.spec())) {  // its launcher has killed it by then
    delay = last_heard + silence + fence_margin(silence) - now.boot;
  }
  attempt_ended(live, end, now.wall, out, now, delay);
}

void Scheduler::shift_for_stall(Now now) {
  if (!expected_tick_ || now.boot < *expected_tick_ + kStall) return;
  // It was this process that did not run: what was said meanwhile is still to be read.
  const auto gap = now.boot - last_tick_;
  workers_.for_each([gap](WorkerEntry& worker) { worker.last_heard += gap; });
}

}  // namespace clusterd
