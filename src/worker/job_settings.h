#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "core/config.h"
#include "worker/job_environment.h"
#include "worker/job_user.h"
#include "worker/script_folder.h"

namespace clusterd {

// What surrounds a job's command: its user, environment, scratch folder, standard input, mask.
//
// Owned by Admission. Reads the file system and the user database: on its thread only.
class JobSettings {
 public:
  // `jobs.scratch_dir` is absolute, or empty: jobs have no scratch folders. `scripts` outlives
  // this.
  JobSettings(const WorkerConfig::Jobs& jobs, const ScriptFolder& scripts);

  // Fills in the plan. Errors carry the field: PERMISSION_DENIED (env, run_as), FAILED_PRECONDITION
  // (run_as), and those of ScriptFolder (stdin_file).
  [[nodiscard]] absl::Status apply(const v1::StartAttempt& attempt, const WorkerNames& worker,
                                   internal::LaunchPlan& plan) const;

  [[nodiscard]] const JobUsers& users() const { return users_; }

 private:
  const ScriptFolder& scripts_;
  const std::vector<std::string> env_allow_;
  const std::string scratch_dir_;
  const bool allow_new_privileges_;
  const bool sets_home_;
  const Variables base_;
  const JobUsers users_;
};

}  // namespace clusterd
