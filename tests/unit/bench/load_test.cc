#include "bench/load.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <latch>
#include <memory>
#include <utility>
#include <vector>

namespace clusterd::bench {
namespace {

TEST_CASE("every request is made once, and all connections have one under way", "[bench]") {
  constexpr uint32_t kConnections = 4;
  constexpr uint64_t kCount = 100;
  std::atomic<uint32_t> connected = 0;
  std::vector<std::atomic<int>> made(kCount);
  std::latch all_at_once(kConnections);
  const auto make = [&]() -> absl::StatusOr<Requester> {
    ++connected;
    const auto is_first = std::make_shared<bool>(true);  // shared by the function's copies
    return [&, is_first](uint64_t index) {
      ++made[index];
      if (std::exchange(*is_first, false)) all_at_once.arrive_and_wait();
      return absl::OkStatus();
    };
  };

  const auto load = run_load(kConnections, kCount, make, {});

  REQUIRE(load.ok());
  CHECK(connected == kConnections);
  CHECK(load->latencies.count() == kCount);
  CHECK(load->duration >= load->latencies.percentiles().max);
  for (const auto& count : made) CHECK(count == 1);
}

TEST_CASE("fewer requests than connections take as many connections", "[bench]") {
  std::atomic<uint32_t> connected = 0;
  const auto make = [&]() -> absl::StatusOr<Requester> {
    ++connected;
    return [](uint64_t) { return absl::OkStatus(); };
  };

  CHECK(run_load(64, 3, make, {}).ok());
  CHECK(connected == 3);
}

TEST_CASE("a load ends with its first error", "[bench]") {
  std::atomic<uint64_t> made = 0;
  const auto make = [&]() -> absl::StatusOr<Requester> {
    return [&](uint64_t) { return ++made < 5 ? absl::OkStatus() : absl::DataLossError("wrong"); };
  };

  const auto load = run_load(2, 1'000'000, make, {});

  CHECK(absl::IsDataLoss(load.status()));
  CHECK(made < 10);
}

TEST_CASE("a load whose connection cannot be made asks for nothing", "[bench]") {
  const auto make = []() -> absl::StatusOr<Requester> { return absl::UnavailableError("nobody"); };

  CHECK(absl::IsUnavailable(run_load(2, 10, make, {}).status()));
}

TEST_CASE("a stop request ends a load", "[bench]") {
  std::stop_source stop;
  const auto make = [&]() -> absl::StatusOr<Requester> {
    return [&](uint64_t index) {
      if (index == 7) stop.request_stop();
      return absl::OkStatus();
    };
  };

  CHECK(absl::IsCancelled(run_load(2, 1'000'000, make, stop.get_token()).status()));
}

}  // namespace
}  // namespace clusterd::bench
