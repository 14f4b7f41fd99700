#pragma once

#include "bench/bench_run.h"

namespace clusterd::bench {

// A job writes a line with its clock every 20 ms; how long each is under way to a follower over
// HTTP, by both machines' wall clocks.
[[nodiscard]] Results measure_live_lines(const BenchRun& run);

}  // namespace clusterd::bench
