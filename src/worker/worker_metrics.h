#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "clusterd/v1/job.pb.h"
#include "core/metrics.h"

namespace clusterd {

// What a worker counts. Written on its core thread, read by any. Owned by WorkerCore.
struct WorkerMetrics {
  Counter starts;                                           // orders to the launcher
  Counter heartbeats;                                       // sent
  std::array<Counter, v1::JobEnd::Reason_ARRAYSIZE> ended;  // attempts, by reason
  std::atomic<uint64_t> output_bytes = 0;                   // only grows
  std::atomic<uint64_t> held = 0;       // attempts: running, or not acknowledged
  std::atomic<bool> connected = false;  // it has a session

  // One of a later version's reasons counts as unspecified.
  void count_end(v1::JobEnd::Reason reason);
  void add_to(MetricsPage& page) const;
};

}  // namespace clusterd
