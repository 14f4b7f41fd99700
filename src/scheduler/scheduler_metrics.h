#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "clusterd/v1/job.pb.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "store/store_metrics.h"

namespace clusterd {

// What the scheduler counts over all terms of office of one process. Written by the core thread,
// the store's and the relays of output, read by any. Owned by SchedulerApp.
struct SchedulerMetrics {
  Counter submitted;                                       // accepted jobs
  Counter attempts;                                        // given to a worker
  Counter heartbeats;                                      // of workers
  Counter relayed_bytes;                                   // of output, to readers
  std::array<Counter, v1::Job::State_ARRAYSIZE> ended;     // jobs and tasks, by state
  Histogram queue_wait{time_bounds()};                     // nothing but room missing → given
  Histogram dispatch_latency{time_bounds()};               // given → its command runs
  std::atomic<int64_t> oldest_ready_second{kNoneIsReady};  // by CLOCK_BOOTTIME
  StoreMetrics store;

  static constexpr int64_t kNoneIsReady = -1;

  void add_to(MetricsPage& page, BootTime now) const;
};

}  // namespace clusterd
