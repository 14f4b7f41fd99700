#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "core/clock.h"

namespace clusterd {

// Whether so much happens that what comes within a moment is better handled together: a wake-up
// costs more than most of what there is to do for it then. Owned by its loop; one thread.
class Burst {
 public:
  // What one after the other, each within 3 ms, does not reach.
  static constexpr size_t kEvents = 8;
  static constexpr std::chrono::milliseconds kWithin{6};

  // So many have come until now.
  void note(size_t events, BootTime now) {
    for (size_t i = 0; i < events && i < kEvents; ++i) {
      times_[next_] = now;
      next_ = (next_ + 1) % kEvents;
    }
  }
  [[nodiscard]] bool is_on(BootTime now) const { return now - times_[next_] < kWithin; }

 private:
  std::array<BootTime, kEvents> times_{};  // of the last events; a ring
  size_t next_ = 0;                        // the oldest of them
};

}  // namespace clusterd
