#pragma once

#include "bench/bench_run.h"

namespace clusterd::bench {

// Durable submits a second over each number of connections. The jobs are held by a start delay and
// stopped afterwards, so that submitting alone is measured.
[[nodiscard]] Results measure_submits_over_http(const BenchRun& run);
[[nodiscard]] Results measure_submits_over_grpc(const BenchRun& run);

}  // namespace clusterd::bench
