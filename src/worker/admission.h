#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "core/config.h"
#include "worker/allow_list.h"
#include "worker/job_environment.h"
#include "worker/script_folder.h"

namespace clusterd {

// Turns a start order into a plan with every name resolved, or into the reason why this worker
// does not run it. Nothing is kept of what is refused.
//
// Owned by WorkerCore. Reads the file system: used on the checking thread only.
class Admission {
 public:
  // `jobs.scripts_dir` is absolute.
  explicit Admission(WorkerConfig::Jobs jobs);

  // Errors carry the field: INVALID_ARGUMENT (path, args, env, cwd, stdin, stop_signal,
  // output.max_bytes, …), PERMISSION_DENIED (command, env, path), FAILED_PRECONDITION (command).
  [[nodiscard]] absl::StatusOr<internal::LaunchPlan> check(const v1::StartAttempt& attempt,
                                                           const WorkerNames& worker) const;

  [[nodiscard]] const ScriptFolder& scripts() const { return scripts_; }
  [[nodiscard]] const AllowList& commands() const { return commands_; }
  [[nodiscard]] const AllowList& programs() const { return programs_; }

 private:
  [[nodiscard]] absl::Status resolve_command(const v1::JobSpec& spec,
                                             internal::LaunchPlan& plan) const;
  [[nodiscard]] absl::Status set_bounds(const v1::JobSpec& spec, internal::LaunchPlan& plan) const;

  WorkerConfig::Jobs jobs_;
  ScriptFolder scripts_;
  AllowList commands_;
  AllowList programs_;
};

}  // namespace clusterd
