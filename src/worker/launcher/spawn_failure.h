#pragma once

#include <string>

#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/journal_record.h"

namespace clusterd {

// What was to be started, for messages; empty: not known any more.
struct SpawnTarget {
  std::string executable;
  std::string working_folder;
  std::string script;
  std::string input_file;
  std::string scratch;
  std::string user;  // empty: the launcher's own
};

[[nodiscard]] SpawnTarget target_of(const internal::LaunchPlan& plan);

// Why a program could not be started, in words that name the file at fault. Marked where the worker
// is to blame and not the job (core/worker_fault.h).
[[nodiscard]] absl::Status describe_spawn_failure(SpawnStage stage, int error,
                                                  const SpawnTarget& target);

}  // namespace clusterd
