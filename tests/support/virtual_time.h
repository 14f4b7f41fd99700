#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "core/clock.h"

namespace clusterd {

// Time that passes only from one task to the next, and chance that is the same for the same seed.
//
// Owned by a simulation; one thread. Tasks that are due at one instant run in the order in which
// they were added.
class VirtualTime {
 public:
  using Task = std::function<void()>;

  explicit VirtualTime(uint64_t seed) : random_(seed) {}

  void after(std::chrono::nanoseconds delay, Task task) {
    tasks_.emplace(std::pair{now_.boot + delay, ++added_}, std::move(task));
  }

  // Runs the next task; false: there is none.
  bool step() {
    if (tasks_.empty()) return false;
    auto next = tasks_.extract(tasks_.begin());
    now_.wall += next.key().first - now_.boot;
    now_.boot = next.key().first;
    next.mapped()();
    return true;
  }

  // Somebody sets the wall clock; time itself goes on as it does.
  void set_wall_clock(std::chrono::nanoseconds by) { now_.wall += by; }

  [[nodiscard]] Now now() const { return now_; }

  // Evenly from `low` to `high`, both included.
  int64_t pick(int64_t low, int64_t high) {
    const auto range = static_cast<uint64_t>(high - low) + 1;
    return low + static_cast<int64_t>(random_() % range);
  }
  std::chrono::milliseconds pick_ms(int64_t low, int64_t high) {
    return std::chrono::milliseconds(pick(low, high));
  }
  bool chance(int64_t percent) { return pick(1, 100) <= percent; }

 private:
  std::mt19937_64 random_;
  Now now_{BootTime(std::chrono::hours(1)), WallTime(std::chrono::hours(500'000))};
  uint64_t added_ = 0;
  std::map<std::pair<BootTime, uint64_t>, Task> tasks_;
};

}  // namespace clusterd
