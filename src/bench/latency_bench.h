#pragma once

#include "bench/bench_run.h"

namespace clusterd::bench {

// One job at a time over one HTTP connection: from the request to the start that the worker has
// recorded, by both machines' wall clocks, and to the answer that it has ended.
[[nodiscard]] Results measure_latency(const BenchRun& run);

}  // namespace clusterd::bench
