#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/bench_run.h"

namespace clusterd::bench {

// Names for BenchPlan::only, in the order in which they are measured.
[[nodiscard]] std::vector<std::string> measurement_names();

// What was measured until the end or an error.
struct BenchOutcome {
  BenchReport report;
  absl::Status status;
};

// Measures what `plan` says, one after the other. Jobs are removed at the end, after an error or a
// stop too, where the cluster is not standalone; `cleanup_stop` ends that. FAILED_PRECONDITION:
// everything was skipped.
[[nodiscard]] BenchOutcome run_benches(const BenchTarget& target, const BenchPlan& plan,
                                       const StopFd& stop, const StopFd& cleanup_stop,
                                       const BenchRun::Progress& progress);

}  // namespace clusterd::bench
