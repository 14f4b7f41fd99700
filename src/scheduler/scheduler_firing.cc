// Schedules whose time has come.

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/ids.h"
#include "core/proto_time.h"
#include "core/sha256.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;

// How long a clock that was set forward goes unnoticed, and how late a time is not called missed.
constexpr nanoseconds kLongestWatch = std::chrono::seconds(60);
constexpr nanoseconds kDefaultCatchUpWithin = std::chrono::hours(1);
constexpr uint32_t kDefaultCaughtUp = 10;
// Of times that were missed; after a year's absence, minutes are not counted one by one.
constexpr size_t kMostCounted = 100;
// Jobs of one schedule that have not ended; a schedule that is never done fills no queue.
constexpr size_t kMostUnended = 1'000;
// A job waits for so many of the earlier ones, which wait for the ones before.
constexpr size_t kMostAwaited = 64;

// Jobs that are made in one go; the rest follows, so that others get their turn.
constexpr uint64_t kMostAtOnce = 1'000;
constexpr nanoseconds kNextGo = std::chrono::milliseconds(1);
// So often is looked whether the workers that a schedule names are back.
constexpr nanoseconds kHeldWatch = std::chrono::seconds(1);

// Fresh: no other job has that number.
std::string job_id_of(const std::string& schedule, WallTime time, uint64_t seq, WallTime now) {
  return uuid_v7_of(now,
                    sha256(absl::StrCat(schedule, " ", time.time_since_epoch().count(), " ", seq)));
}

// How many of the latest times that were missed are made up for.
size_t most_made_up(const v1::Schedule& schedule) {
  switch (schedule.catch_up()) {
    case v1::Schedule::NONE:
      return 0;
    case v1::Schedule::ALL:
      return schedule.catch_up_max() == 0 ? kDefaultCaughtUp : schedule.catch_up_max();
    default:
      return 1;
  }
}

WallTime made_up_since(const v1::Schedule& schedule, WallTime now) {
  return now - (schedule.has_catch_up_within() ? from_proto(schedule.catch_up_within())
                                               : kDefaultCatchUpWithin);
}

}  // namespace

void Scheduler::fire_schedules(Decision& out, Now now) {
  schedules_at_.reset();
  nanoseconds least_wait(0);
  const uint64_t last_seq = last_seq_;
  for (const std::string& name : schedules_.due(now.wall)) {
    ScheduleEntry& entry = *schedules_.find(name);
    if (awaits_workers(entry, now)) {
      least_wait = kHeldWatch;
    } else if (last_seq_ - last_seq >= kMostAtOnce) {
      least_wait = kNextGo;
      break;
    } else {
      deal_with(entry, out, now);
    }
  }
  watch_schedules(now, least_wait);
}

bool Scheduler::awaits_workers(const ScheduleEntry& entry, Now now) {
  const v1::JobSpec& spec = entry.record.spec();
  if (spec.worker_id().empty() && !spec.resources().every_worker()) return false;
  if (now.boot - schedules_.began() >= config_.scheduling.worker_timeout) return false;
  bool any_away = false;
  workers_.for_each([&](const WorkerEntry& worker) {
    const bool is_named = spec.worker_id().empty() || spec.worker_id() == worker.id() ||
                          spec.worker_id() == worker.name();
    const bool comes_back =
        worker.state() == v1::Worker::ALIVE || worker.state() == v1::Worker::UNREACHABLE;
    any_away = any_away || (is_named && comes_back && worker.stream == 0);
  });
  return any_away;
}

void Scheduler::watch_schedules(Now now, nanoseconds least_wait) {
  const auto earliest = schedules_.earliest();
  if (!earliest) return;
  const nanoseconds left = *earliest - now.wall;
  const BootTime at = now.boot + std::clamp(left, least_wait, kLongestWatch);
  if (schedules_at_ && *schedules_at_ <= at) return;
  schedules_at_ = at;
  timers_.add({at, TimerKind::kSchedules, ""});
}

void Scheduler::deal_with(ScheduleEntry& entry, Decision& out, Now now) {
  v1::Schedule& schedule = entry.record;
  const std::vector<WallTime> times = entry.cron->latest(
      entry.dealt_with(), now.wall, entry.zone, std::max(most_made_up(schedule), kMostCounted));
  // What passed before this term of office, or while the scheduler or the machine stood still.
  const nanoseconds allowed = std::min(kLongestWatch, now.boot - schedules_.began());
  const auto in_time = std::find_if(times.begin(), times.end(),
                                    [&](WallTime time) { return now.wall - time <= allowed; });
  const auto recent = std::lower_bound(times.begin(), in_time, made_up_since(schedule, now.wall));
  const auto missed = static_cast<size_t>(in_time - recent);
  const auto first = in_time - static_cast<ptrdiff_t>(std::min(missed, most_made_up(schedule)));
  schedule.set_skipped(schedule.skipped() + static_cast<uint64_t>(first - times.begin()));
  schedule.clear_message();
  if (first == times.end()) schedule.set_message("it passed while no scheduler was there");
  bool behind_earlier = false;
  for (auto time = first; time != times.end(); ++time) {
    const absl::Status refused = submit_scheduled(entry, *time, behind_earlier, out, now);
    schedule.set_message(std::string(refused.message()));
    if (refused.ok()) {
      behind_earlier = true;  // those that are due together run one after the other
    } else {
      schedule.set_skipped(schedule.skipped() + 1);
    }
  }
  *schedule.mutable_last_time() = to_proto(times.back());
  ScheduleTable::refresh(entry);
  keep_schedule(entry, out);
}

absl::Status Scheduler::submit_scheduled(ScheduleEntry& entry, WallTime time, bool behind_earlier,
                                         Decision& out, Now now) {
  v1::Schedule& schedule = entry.record;
  const std::vector<std::string> unended = jobs_.unended_of_schedule(schedule.name());
  const bool queues = behind_earlier || schedule.overlap() == v1::Schedule::QUEUE;
  const bool replaces = !behind_earlier && schedule.overlap() == v1::Schedule::REPLACE;
  if (!unended.empty() && !queues && !replaces) {
    return absl::FailedPreconditionError("job " + unended.back() + " had not ended");
  }
  if (unended.size() >= kMostUnended) {
    return absl::ResourceExhaustedError(absl::StrCat(unended.size(), " jobs of it had not ended"));
  }
  SubmitOrder order{.job_id = job_id_of(schedule.name(), time, last_seq_ + 1, now.wall),
                    .spec = schedule.spec(),
                    .submitted_by = schedule.created_by(),
                    .schedule = schedule.name()};
  const size_t awaited = std::min(unended.size(), kMostAwaited);
  for (auto id = unended.end() - static_cast<ptrdiff_t>(awaited); id != unended.end(); ++id) {
    v1::Dependency& dependency = *order.spec.add_after();
    dependency.set_job_id(*id);
    dependency.set_on(v1::Dependency::ANY);
  }
  const std::string job_id = order.job_id;
  const absl::Status refused = accept(0, std::move(order), LookUp(), LookedUp(), out, now);
  if (!refused.ok()) return refused;
  schedule.set_runs(schedule.runs() + 1);
  schedule.set_last_job_id(job_id);
  if (!replaces) return absl::OkStatus();
  v1::StopRequest wish;
  wish.set_who(schedule.created_by());
  wish.set_reason("its schedule's next job replaces it");
  *wish.mutable_when() = to_proto(now.wall);
  for (const std::string& id : unended) {
    if (LiveJob* live = jobs_.find(id)) stop_live(*live, wish, out, now);
  }
  return absl::OkStatus();
}

}  // namespace clusterd
