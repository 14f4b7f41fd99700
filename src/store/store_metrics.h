#pragma once

#include "core/metrics.h"

namespace clusterd {

// What the store's thread counts. Outlives it; read by any thread.
struct StoreMetrics {
  Histogram commit_seconds{time_bounds()};
  Histogram commit_batches{size_bounds()};  // decisions in one commit
  Counter failures;
};

}  // namespace clusterd
