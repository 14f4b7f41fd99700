#pragma once

#include "bench/bench_run.h"

namespace clusterd::bench {

// Stops and deletes all jobs of a run, page by page; `stop` ends it. The error names the label by
// which those that are left can be found.
[[nodiscard]] absl::Status remove_jobs(const BenchRun& run, const StopFd& stop);

}  // namespace clusterd::bench
