#include <catch2/catch.hpp>

#include "support/simulated_cluster.h"

// Whole clusters in virtual time; `build/dev/tests/simulation --seed N` replays one and prints its
// history, `--seeds N` runs many.

namespace clusterd {
namespace {

TEST_CASE("whatever fails, each accepted job ends once and truly", "[simulation]") {
  constexpr uint64_t kSeeds = 100;
  size_t accepted = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SimulatedCluster cluster(seed);
    const std::string breach = cluster.run();
    accepted += cluster.accepted();
    INFO("simulation --seed " << seed);
    REQUIRE(breach == "");
  }
  CHECK(accepted > 10 * kSeeds);  // it was not idle
}

// Each was the first to meet a defect; beyond those that are always run.
TEST_CASE("seeds that failed once", "[simulation]") {
  const uint64_t seed =
      GENERATE(uint64_t{27},     // room is kept for a queue that then reaches its cap
               uint64_t{109},    // the last waiting tasks of an array are stopped one by one
               uint64_t{1498});  // a repeated submit is answered after the job's deletion
  SimulatedCluster cluster(seed);
  INFO("simulation --seed " << seed);
  REQUIRE(cluster.run() == "");
}

TEST_CASE("one seed is one history, another seed another", "[simulation]") {
  SimulatedCluster one(7);
  SimulatedCluster again(7);
  SimulatedCluster other(8);

  CHECK(one.run().empty());
  CHECK(again.run().empty());
  CHECK(other.run().empty());

  CHECK(one.history() == again.history());
  CHECK(one.history() != other.history());
}

}  // namespace
}  // namespace clusterd
