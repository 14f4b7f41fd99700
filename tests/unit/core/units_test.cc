#include "core/units.h"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;

namespace clusterd {
namespace {

TEST_CASE("sizes are read with binary and decimal units and as plain bytes", "[units]") {
  CHECK(*parse_size("0") == 0);
  CHECK(*parse_size("4096") == 4096);
  CHECK(*parse_size("10B") == 10);
  CHECK(*parse_size("1KiB") == 1024);
  CHECK(*parse_size("64MiB") == 64U << 20U);
  CHECK(*parse_size("1.5GiB") == 1'610'612'736);
  CHECK(*parse_size("2TiB") == 2ULL << 40U);
  CHECK(*parse_size("3kB") == 3'000);
  CHECK(*parse_size("3MB") == 3'000'000);
  CHECK(*parse_size("3GB") == 3'000'000'000);
  CHECK(*parse_size("3TB") == 3'000'000'000'000);
  CHECK(*parse_size("9223372036854775807") == 9'223'372'036'854'775'807ULL);
}

TEST_CASE("what is no size is refused", "[units]") {
  for (const char* text : {"", " ", "-1", "1.5", "0.5B", "MiB", "64Mi", "64mib", "64 MiB", "1e3",
                           "1MiB1", "9223372036854775808", "9999999TiB", "1.", "1.0001MiB"}) {
    INFO(text);
    CHECK(parse_size(text).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("durations are read, alone and joined", "[units]") {
  CHECK(*parse_duration("0") == 0s);
  CHECK(*parse_duration("0s") == 0s);
  CHECK(*parse_duration("500ms") == 500ms);
  CHECK(*parse_duration("15s") == 15s);
  CHECK(*parse_duration("1.5s") == 1500ms);
  CHECK(*parse_duration("5m") == 5min);
  CHECK(*parse_duration("168h") == 168h);
  CHECK(*parse_duration("7d") == 168h);
  CHECK(*parse_duration("1h30m") == 90min);
  CHECK(*parse_duration("3us") == 3us);
  CHECK(*parse_duration("4ns") == 4ns);
}

TEST_CASE("what is no duration is refused", "[units]") {
  for (const char* text : {"", "15", "-1s", "s", "1x", "1 s", "1s ", "1h30", "300y",
                           "9223372036854775808ns", "107000d", "106751d106751d"}) {
    INFO(text);
    CHECK(parse_duration(text).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("sizes and durations are written so that they read back the same", "[units]") {
  for (const uint64_t bytes : {0ULL, 1ULL, 1000ULL, 1024ULL, 64ULL << 20U, 5ULL << 40U}) {
    CHECK(*parse_size(format_size(bytes)) == bytes);
  }
  for (const std::chrono::nanoseconds duration :
       {std::chrono::nanoseconds(0), std::chrono::nanoseconds(1), std::chrono::nanoseconds(90min),
        std::chrono::nanoseconds(168h + 1ms)}) {
    CHECK(*parse_duration(format_duration(duration)) == duration);
  }
  CHECK(format_size(64U << 20U) == "64MiB");
  CHECK(format_duration(90min) == "1h30m");
  CHECK(format_duration(168h) == "168h");
}

}  // namespace
}  // namespace clusterd
