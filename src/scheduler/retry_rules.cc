#include "scheduler/retry_rules.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/crc32c.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kDefaultBackoff = std::chrono::seconds(1);
constexpr nanoseconds kLongestBackoff = std::chrono::hours(1);
constexpr nanoseconds kLeastMargin = std::chrono::milliseconds(500);
constexpr nanoseconds kMostMargin = std::chrono::seconds(10);
// A worker is in quarantine by then.
constexpr uint32_t kExcusedAtOnce = 5;
constexpr nanoseconds kFirstExcusedDelay = std::chrono::seconds(1);
constexpr nanoseconds kMostExcusedDelay = std::chrono::seconds(30);
constexpr double kJitter = 0.25;
constexpr double kHashRange = 4294967296.0;

bool retries_on(const v1::JobSpec& spec, v1::RetryPolicy::On kind) {
  const auto& on = spec.retry().on();
  return std::find(on.begin(), on.end(), kind) != on.end();
}

v1::RetryPolicy::On kind_of(const v1::JobEnd& end) {
  switch (end.reason()) {
    case v1::JobEnd::START_FAILED:
      return v1::RetryPolicy::START_FAILURE;
    case v1::JobEnd::DEPENDENCY_FAILED:
    case v1::JobEnd::QUEUE_TIMED_OUT:
      return v1::RetryPolicy::ON_UNSPECIFIED;
    default:
      break;
  }
  switch (state_of(end)) {
    case v1::Job::FAILED:
      return v1::RetryPolicy::FAILURE;
    case v1::Job::TIMED_OUT:
      return v1::RetryPolicy::TIMEOUT;
    case v1::Job::LOST:
      return v1::RetryPolicy::LOSS;
    default:
      return v1::RetryPolicy::ON_UNSPECIFIED;
  }
}

// Of a job that names no worker.
uint32_t starts_failed_by_workers(const v1::Job& job) {
  if (!job.spec().worker_id().empty()) return 0;
  return static_cast<uint32_t>(
      std::count_if(job.attempts().begin(), job.attempts().end(),
                    [](const v1::Attempt& attempt) { return attempt.end().worker_at_fault(); }));
}

// Those that count as such.
uint32_t counted_attempts(const v1::Job& job) {
  const auto all = static_cast<uint32_t>(job.attempts_size());
  return all - std::min(starts_failed_by_workers(job), kMostExcused);
}

}  // namespace

bool is_excused(const v1::Job& job, const v1::JobEnd& end, bool was_probe) {
  // A task of a gang cannot join the others later.
  if (job.spec().has_gang()) return false;
  return end.worker_at_fault() && !job.has_stop_requested() && job.spec().worker_id().empty() &&
         (was_probe || starts_failed_by_workers(job) <= kMostExcused);
}

nanoseconds excused_delay(const v1::Job& job) {
  const uint32_t failed = starts_failed_by_workers(job);
  if (failed <= kExcusedAtOnce) return nanoseconds::zero();
  nanoseconds delay = kFirstExcusedDelay;
  for (uint32_t i = kExcusedAtOnce + 1; i < failed && delay < kMostExcusedDelay; ++i) delay *= 2;
  return std::min(delay, kMostExcusedDelay);
}

void drop_earlier_probe(v1::Job& job) {
  auto& attempts = *job.mutable_attempts();
  if (attempts.size() < 2) return;
  const v1::Attempt& last = attempts[attempts.size() - 1];
  const v1::Attempt& before = attempts[attempts.size() - 2];
  if (!last.end().worker_at_fault() || !before.end().worker_at_fault()) return;
  if (last.worker_id() != before.worker_id()) return;
  attempts.DeleteSubrange(attempts.size() - 2, 1);
}

uint32_t losses_of(const v1::Job& job) {
  return static_cast<uint32_t>(
      std::count_if(job.attempts().begin(), job.attempts().end(), [](const v1::Attempt& attempt) {
        return attempt.has_end() && state_of(attempt.end()) == v1::Job::LOST;
      }));
}

bool is_lost_for_good(const v1::Job& job, const v1::JobEnd& end, uint32_t usual_most) {
  const uint32_t own_most = job.spec().retry().max_losses();
  return state_of(end) == v1::Job::LOST && is_retried(job, end) &&
         losses_of(job) >= (own_most == 0 ? usual_most : own_most);
}

bool is_retried(const v1::Job& job, const v1::JobEnd& end) {
  if (job.has_stop_requested()) return false;
  if (counted_attempts(job) >= job.spec().retry().max_attempts()) return false;
  const v1::RetryPolicy::On kind = kind_of(end);
  return kind != v1::RetryPolicy::ON_UNSPECIFIED && retries_on(job.spec(), kind);
}

nanoseconds retry_delay(const v1::Job& job, const v1::JobEnd& end, nanoseconds lost_after) {
  if (is_excused(job, end, false)) return excused_delay(job);
  const v1::RetryPolicy& policy = job.spec().retry();
  const nanoseconds first = policy.has_backoff() ? from_proto(policy.backoff()) : kDefaultBackoff;
  nanoseconds delay = std::min(first, kLongestBackoff);
  for (uint32_t attempt = 1; attempt < counted_attempts(job) && delay < kLongestBackoff;
       ++attempt) {
    delay = std::min(delay * 2, kLongestBackoff);
  }
  const std::string seed = absl::StrCat(job.job_id(), "/", job.attempt());
  const double share = crc32c(seed) / kHashRange * kJitter;
  delay += std::chrono::duration_cast<nanoseconds>(delay * share);
  const bool lost = end.reason() == v1::JobEnd::WORKER_LOST;
  if (lost && fences_itself(job.spec())) delay = std::max(delay, fence_margin(lost_after));
  return delay;
}

void clear_end(v1::Job& job) {
  job.clear_end();
  job.clear_end_time();
  job.clear_stop_requested();
  job.clear_suspended();
}

bool fences_itself(const v1::JobSpec& spec) {
  return spec.retry().max_attempts() > 1 && !spec.retry().allow_overlap() &&
         retries_on(spec, v1::RetryPolicy::LOSS);
}

nanoseconds fence_margin(nanoseconds lost_after) {
  return std::min(std::clamp(lost_after / 10, kLeastMargin, kMostMargin), lost_after / 2);
}

nanoseconds left_of(nanoseconds wait, WallTime begin, WallTime now) {
  const nanoseconds left = std::max(begin + wait - now, nanoseconds::zero());
  return wait == nanoseconds::zero() ? left : std::min(left, wait);
}

}  // namespace clusterd
