#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace clusterd {

// Orders from another process of this machine to the worker that uses `data_dir`. Both block until
// it has obeyed. NOT_FOUND: none uses it. PERMISSION_DENIED: it is another user's.

// Has it replace itself in place by its executable and configuration as they are on the disk.
// INTERNAL: it goes on as it is, and why. DEADLINE_EXCEEDED: nothing is known after `limit`.
[[nodiscard]] absl::Status upgrade_worker(const std::string& data_dir,
                                          std::chrono::milliseconds limit);

// How a worker ends, whatever worker.on_stop says.
enum class WorkerEnd { kDrain, kStopJobs };

// Has it end so. DEADLINE_EXCEEDED: it still runs after `limit`; absent: no bound.
[[nodiscard]] absl::Status end_worker(const std::string& data_dir, WorkerEnd end,
                                      std::optional<std::chrono::milliseconds> limit);

}  // namespace clusterd
