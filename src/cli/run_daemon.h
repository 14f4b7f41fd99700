#pragma once

#include "absl/status/statusor.h"
#include "cli/commands.h"
#include "core/config.h"

namespace clusterd {

// The configuration of a daemon, read, checked and in force (log level). The status is one line
// for each error.
[[nodiscard]] absl::StatusOr<SchedulerConfig> prepare(const SchedulerCommand& command);
[[nodiscard]] absl::StatusOr<WorkerConfig> prepare(const WorkerCommand& command);

// What `--check` looks at beyond the file: the worker's folders. NOT_FOUND, FAILED_PRECONDITION or
// PERMISSION_DENIED name the key and the path.
[[nodiscard]] absl::Status check_folders(const WorkerConfig& config);

}  // namespace clusterd
