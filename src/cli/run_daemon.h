#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/commands.h"
#include "core/config.h"

namespace clusterd {

// The configuration of a daemon, read, checked and in force (log level). The status is one line
// for each error.
[[nodiscard]] absl::StatusOr<SchedulerConfig> prepare(const SchedulerCommand& command);
[[nodiscard]] absl::StatusOr<WorkerConfig> prepare(const WorkerCommand& command);

// `--upgrade`, `--drain` and `--stop`: orders to the worker that runs with this configuration; the
// process's exit code.
int order_worker(const WorkerCommand& command, const WorkerConfig& config);

// What `--check` looks at beyond the file: the worker's folders, by the rules of its start and of
// the jobs' starts. Gives those that are not there yet, which the start will make, by key and path.
// FAILED_PRECONDITION: no folder, or one that cannot be made. PERMISSION_DENIED: not ours to use,
// or others may write the scripts. Each names the key and the path.
[[nodiscard]] absl::StatusOr<std::vector<std::string>> check_folders(const WorkerConfig& config);

}  // namespace clusterd
