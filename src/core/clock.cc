#include "core/clock.h"

#include <ctime>

namespace clusterd {
namespace {

std::chrono::nanoseconds read_clock(clockid_t id) {
  timespec value{};
  clock_gettime(id, &value);
  return std::chrono::seconds(value.tv_sec) + std::chrono::nanoseconds(value.tv_nsec);
}

}  // namespace

Now SystemClock::now() const {
  return Now{BootTime(read_clock(CLOCK_BOOTTIME)), WallTime(read_clock(CLOCK_REALTIME))};
}

}  // namespace clusterd
