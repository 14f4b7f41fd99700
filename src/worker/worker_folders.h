#pragma once

#include "absl/status/statusor.h"
#include "core/config.h"

namespace clusterd {

// The configured folders, absolute and made; `runtime_dir` as choose_runtime_dir says. An error
// names the folder.
[[nodiscard]] absl::StatusOr<WorkerConfig::Jobs> prepare_folders(WorkerConfig::Jobs jobs);

}  // namespace clusterd
