#pragma once

#include "bench/bench_run.h"

namespace clusterd::bench {

// The output of one job, read over HTTP by each number of followers at one time. More than four of
// them read the first part of it, so that no number takes longer than four.
[[nodiscard]] Results measure_output(const BenchRun& run);

}  // namespace clusterd::bench
