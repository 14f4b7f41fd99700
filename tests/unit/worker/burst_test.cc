#include "worker/launcher/burst.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

using std::chrono::microseconds;

// Whether a burst is on after `count` events, one each `interval`.
bool is_burst(int count, microseconds interval) {
  Burst burst;
  BootTime now{std::chrono::hours(1)};
  for (int i = 0; i < count; ++i) {
    now += interval;
    burst.note(1, now);
  }
  return burst.is_on(now);
}

TEST_CASE("many events at one time are a burst, and one job after another is none", "[burst]") {
  CHECK_FALSE(Burst().is_on(BootTime{std::chrono::hours(1)}));
  CHECK_FALSE(is_burst(7, microseconds(1)));
  CHECK(is_burst(8, microseconds(1)));
  CHECK(is_burst(100, microseconds(500)));
  CHECK_FALSE(is_burst(100, microseconds(1500)));  // start and end of one each 3 ms
}

TEST_CASE("a burst ends when nothing more comes", "[burst]") {
  Burst burst;
  const BootTime begun{std::chrono::hours(1)};
  burst.note(1000, begun);
  CHECK(burst.is_on(begun + microseconds(5'999)));
  CHECK_FALSE(burst.is_on(begun + microseconds(6'000)));
}

}  // namespace
}  // namespace clusterd
