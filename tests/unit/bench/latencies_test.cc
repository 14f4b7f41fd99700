#include "bench/latencies.h"

#include <catch2/catch.hpp>

namespace clusterd::bench {
namespace {

using std::chrono::nanoseconds;

Latencies descending(int count) {
  Latencies latencies;
  for (int i = count; i >= 1; --i) latencies.add(nanoseconds(i));
  return latencies;
}

TEST_CASE("percentiles are by nearest rank, each a duration that was measured", "[bench]") {
  const Percentiles hundred = descending(100).percentiles();
  CHECK(hundred.p50 == nanoseconds(50));
  CHECK(hundred.p90 == nanoseconds(90));
  CHECK(hundred.p99 == nanoseconds(99));
  CHECK(hundred.max == nanoseconds(100));

  const Percentiles seven = descending(7).percentiles();
  CHECK(seven.p50 == nanoseconds(4));
  CHECK(seven.p90 == nanoseconds(7));
  CHECK(seven.p99 == nanoseconds(7));

  const Percentiles thousand = descending(1'000).percentiles();
  CHECK(thousand.p99 == nanoseconds(990));
}

TEST_CASE("one duration is all of its percentiles, none gives zeros", "[bench]") {
  const Percentiles one = descending(1).percentiles();
  CHECK(one.p50 == nanoseconds(1));
  CHECK(one.p99 == nanoseconds(1));
  CHECK(one.max == nanoseconds(1));

  CHECK(Latencies().percentiles().max == nanoseconds(0));
}

TEST_CASE("durations of several threads count together", "[bench]") {
  Latencies all = descending(3);
  Latencies others;
  others.add(nanoseconds(100));

  all.add(others);

  CHECK(all.count() == 4);
  CHECK(all.percentiles().p50 == nanoseconds(2));
  CHECK(all.percentiles().max == nanoseconds(100));
}

}  // namespace
}  // namespace clusterd::bench
