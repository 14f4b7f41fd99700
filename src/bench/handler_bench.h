#pragma once

#include "bench/bench_run.h"

namespace clusterd::bench {

// What a job costs without a process: this program joins the cluster as a worker whose handler does
// nothing. First one array, then jobs that are submitted over gRPC.
[[nodiscard]] Results measure_handlers(const BenchRun& run);

}  // namespace clusterd::bench
