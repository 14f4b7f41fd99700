#pragma once

#include <string>

#include "scheduler/scheduler.h"
#include "support/memory_store.h"

namespace clusterd {

// Looks for a job that waits although a worker has room for it: empty, or what is wrong in words.
//
// Knows nothing of how jobs are placed, only what is promised: the first job of each kind starts
// unless every worker that fits it may be kept for a job that comes before. Asks the scheduler
// itself (ExplainJob) about each job that the store has as waiting; changes nothing. All that was
// decided must be in the store.
[[nodiscard]] std::string job_stuck_though_it_fits(Scheduler& scheduler, const MemoryStore& store);

// A worker to whom the records give more than it has: empty, or which one.
[[nodiscard]] std::string worker_above_capacity(Scheduler& scheduler, const MemoryStore& store);

}  // namespace clusterd
