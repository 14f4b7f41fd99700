#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "core/clock.h"

namespace clusterd {

// How long a read of the store that failed waits for the next try.
inline constexpr std::chrono::seconds kReadAgainAfter(1);

// What a deadline of the scheduler is for.
enum class TimerKind {
  kStartWait,     // a directed start's caller waits no longer; subject: job id
  kResend,        // an order for an attempt went unanswered; subject: job id
  kWait,          // a WaitJob or a parked read ends; number: call id
  kSilence,       // a worker may have been silent for too long; subject: worker id
  kCallBack,      // a worker that could not be called back is called again; subject: worker id
  kEligible,      // a job may have waited long enough to start; subject: job id
  kQueueTimeout,  // a job may have waited too long for room; subject: job id
  kDrain,         // a drained worker's deadline; subject: worker id
  kRetention,     // what is too old is looked for
  kSchedules,     // the time of a schedule may have come
  kReadAgain,     // what a job waits for could not be read; subject: job id
  kProbe,         // a job is tried on a worker in quarantine; subject: worker id
};

struct Timer {
  BootTime at;
  TimerKind kind;
  std::string subject;
  uint64_t number = 0;

  bool operator<(const Timer& other) const {
    return std::tie(at, kind, subject, number) <
           std::tie(other.at, other.kind, other.subject, other.number);
  }
};

// Deadlines in order. Nothing is cancelled: whoever handles a timer checks that it still means
// something. Owned by Scheduler; core thread only.
class TimerQueue {
 public:
  void add(Timer timer) { timers_.insert(std::move(timer)); }

  [[nodiscard]] std::optional<BootTime> next() const {
    if (timers_.empty()) return std::nullopt;
    return timers_.begin()->at;
  }

  // The earliest timer that is due at `now`, taken out.
  [[nodiscard]] std::optional<Timer> take_due(BootTime now) {
    if (timers_.empty() || timers_.begin()->at > now) return std::nullopt;
    return std::move(timers_.extract(timers_.begin()).value());
  }

 private:
  std::set<Timer> timers_;
};

}  // namespace clusterd
