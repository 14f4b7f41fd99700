#pragma once

#include <string>

#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/journal_record.h"

namespace clusterd {

// Why a program could not be started, in words that name the file at fault.
[[nodiscard]] absl::Status describe_spawn_failure(SpawnStage stage, int error,
                                                  const std::string& executable,
                                                  const std::string& working_folder);

}  // namespace clusterd
