#pragma once

#include "bench/bench_run.h"

namespace clusterd::bench {

// Jobs a second, from the first submit to when all ends are known. They are submitted over HTTP
// while the workers run them; afterwards the output of some of them is compared.
[[nodiscard]] Results measure_burst_of_true(const BenchRun& run);
[[nodiscard]] Results measure_burst_of_scripts(const BenchRun& run);

}  // namespace clusterd::bench
