#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/config.h"

namespace clusterd {

// What an administrator should know before the first job runs.
struct JobReadiness {
  std::vector<absl::Status> problems;  // jobs will be refused for these
  std::vector<std::string> warnings;   // they will run, but
};

// Looks at scripts folder, users and digests as `jobs` (with absolute folders) names them. Blocks
// on the disk and the user database.
[[nodiscard]] JobReadiness check_job_readiness(const WorkerConfig::Jobs& jobs);

// The folder for scratch folders, made, with `run` and `kept` in it: `<configured>/<hash of
// data_dir>`, so that two workers may name the same; where `configured` is empty
// `<data_dir>/scratch`. Where jobs may run as other users, these may pass through it, and through
// data_dir. INVALID_ARGUMENT, PERMISSION_DENIED: it cannot be made, or is another user's.
[[nodiscard]] absl::StatusOr<std::string> prepare_scratch_dir(const WorkerConfig::Jobs& jobs);

}  // namespace clusterd
