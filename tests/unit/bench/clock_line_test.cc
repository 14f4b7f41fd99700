#include "bench/clock_line.h"

#include <catch2/catch.hpp>

namespace clusterd::bench {
namespace {

TEST_CASE("a line with bash's clock is a time, in every locale", "[bench]") {
  const std::chrono::nanoseconds time(1'764'175'744'012'345'000);

  CHECK(parse_clock_line("1764175744.012345").value() == time);
  CHECK(parse_clock_line("1764175744,012345").value() == time);
}

TEST_CASE("what is no clock's line is told", "[bench]") {
  for (const char* line :
       {"", ".", "1764175744", "1764175744.01234", "1764175744.0123456", "-1.000000", "1. 00000",
        " 1.000000", "a.000000", "1.00000x", "99999999999999999999.000000"}) {
    CAPTURE(line);
    CHECK(absl::IsDataLoss(parse_clock_line(line).status()));
  }
}

}  // namespace
}  // namespace clusterd::bench
