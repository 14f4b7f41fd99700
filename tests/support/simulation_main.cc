// Whole clusters in virtual time, one seed one history: see simulated_cluster.h.
//   simulation --seed N             replays one, and prints what happened in it
//   simulation --seeds COUNT        runs so many from --first on; prints what jobs went through
// Ends with 1 at the first seed in which something did not hold, and where a thousand or more did
// not meet all that may happen to a job.
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>

#include "core/crc32c.h"
#include "support/simulated_cluster.h"

namespace {

using clusterd::SimulatedCluster;

constexpr uint64_t kMeetAll = 1000;

// Prints what did not hold; whether all did.
bool holds(uint64_t seed, const std::string& breach) {
  if (breach.empty()) return true;
  std::printf("seed %" PRIu64 ": %s\n", seed, breach.c_str());
  return false;
}

int replay(uint64_t seed) {
  SimulatedCluster cluster(seed);
  const std::string breach = cluster.run();
  for (const std::string& line : cluster.trace()) std::printf("%s\n", line.c_str());
  std::printf("seed %" PRIu64 ", history %08x, %zu jobs\n", seed, cluster.history(),
              cluster.accepted());
  return holds(seed, breach) ? 0 : 1;
}

int run_many(uint64_t first, uint64_t count) {
  clusterd::SimulatedCoverage coverage;
  uint32_t histories = 0;
  uint64_t jobs = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SimulatedCluster cluster(seed);
    if (!holds(seed, cluster.run())) return 1;
    coverage.add(cluster.coverage());
    histories = clusterd::extend_crc32c(histories, std::to_string(cluster.history()));
    jobs += cluster.accepted();
  }
  std::printf("%s%" PRIu64 " seeds from %" PRIu64 " on hold, %" PRIu64 " jobs, histories %08x\n",
              coverage.table().c_str(), count, first, jobs, histories);
  const std::string missing = coverage.missing();
  if (!missing.empty()) std::printf("never met:\n%s", missing.c_str());
  return missing.empty() || count < kMeetAll ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs whole clusters in virtual time"};
  uint64_t seed = 0;
  uint64_t count = 100;
  uint64_t first = 1;
  const CLI::Option* one = app.add_option("--seed", seed, "Replays this one");
  app.add_option("--seeds", count, "How many are run")->capture_default_str();
  app.add_option("--first", first, "The first of them")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return one->count() > 0 ? replay(seed) : run_many(first, count);
}
