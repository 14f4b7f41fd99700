#include "core/proto_time.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;

namespace clusterd {
namespace {

TEST_CASE("times are exact to the nanosecond, before 1970 too", "[proto_time]") {
  for (const auto since_epoch : {0ns, 1ns, -1ns, 1'700'000'000'123'456'789ns, -1'500'000'000ns}) {
    const WallTime time{since_epoch};
    const auto message = to_proto(time);

    CHECK(message.nanos() >= 0);
    CHECK(from_proto(message) == time);
  }
  CHECK(to_proto(WallTime(-1ns)).seconds() == -1);
  CHECK(to_proto(WallTime(-1ns)).nanos() == 999'999'999);
}

TEST_CASE("durations are exact, and both parts have one sign", "[proto_time]") {
  for (const std::chrono::nanoseconds duration :
       {0ns, 1ns, -1ns, 1'500'000'000ns, -1'500'000'000ns}) {
    const auto message = to_proto(duration);

    CHECK(message.seconds() * message.nanos() >= 0);
    CHECK(from_proto(message) == duration);
  }
}

TEST_CASE("a duration beyond the range is clamped", "[proto_time]") {
  google::protobuf::Duration message;
  message.set_seconds(315'576'000'000);

  CHECK(from_proto(message) > std::chrono::hours(24) * 365 * 145);
  message.set_seconds(-315'576'000'000);
  CHECK(from_proto(message) < std::chrono::hours(24) * 365 * -145);
}

}  // namespace
}  // namespace clusterd
