#pragma once

#include <chrono>

namespace clusterd {

// CLOCK_BOOTTIME: goes on while the machine sleeps, never steps. All durations and deadlines.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};

using BootTime = BootClock::time_point;
// What people see, and `start_at`. May step at any time.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

// Both clocks at one instant. Decisions take it as an argument.
struct Now {
  BootTime boot;
  WallTime wall;
};

// Seam: where time comes from. Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const = 0;
};

// The kernel's clocks (clock_gettime(2)).
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override;
};

}  // namespace clusterd
