#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "core/config.h"
#include "worker/allow_list.h"
#include "worker/job_environment.h"
#include "worker/job_settings.h"
#include "worker/limits_policy.h"
#include "worker/script_digests.h"
#include "worker/script_folder.h"
#include "worker/uploaded_scripts.h"

namespace clusterd {

// Turns a start order into a plan with every name resolved, or into the reason why this worker
// does not run it. Nothing is kept of what is refused.
//
// Owned by WorkerCore. Reads the file system: used on the checking thread only.
class Admission {
 public:
  // The folders of `jobs` are absolute, and so is `digests`, or empty.
  Admission(WorkerConfig::Jobs jobs, LimitsPolicy limits);

  // Errors carry the field: INVALID_ARGUMENT (path, script, args, env, cwd, stdin, stop_signal,
  // output.max_bytes, limits.…), PERMISSION_DENIED (command, env, path, script, run_as,
  // output.archive_command), FAILED_PRECONDITION (command, run_as, jobs.digests, limits.…,
  // output.archive_command), ABORTED (path, cwd). `unenforced`: what the launcher cannot enforce.
  [[nodiscard]] absl::StatusOr<internal::LaunchPlan> check(
      const v1::StartAttempt& attempt, const WorkerNames& worker,
      const std::vector<internal::UnenforcedLimit>& unenforced);

  // The scripts that check() accepts. UNAVAILABLE: the folder cannot be read.
  [[nodiscard]] absl::StatusOr<v1::ListWorkerScriptsResponse> list_scripts(
      const v1::ListWorkerScriptsRequest& request);

  [[nodiscard]] const AllowList& commands() const { return commands_; }
  [[nodiscard]] const AllowList& programs() const { return programs_; }
  [[nodiscard]] const LimitsPolicy& limits() const { return limits_; }
  [[nodiscard]] const AllowList& archivers() const { return archivers_; }

 private:
  [[nodiscard]] absl::Status resolve_command(const v1::JobSpec& spec, internal::LaunchPlan& plan);
  [[nodiscard]] absl::Status resolve_script(const v1::JobSpec& spec, internal::LaunchPlan& plan);
  [[nodiscard]] absl::Status keep_upload(const v1::JobSpec& spec, internal::LaunchPlan& plan);
  [[nodiscard]] absl::Status check_upload(const v1::JobSpec& spec) const;
  [[nodiscard]] absl::Status set_bounds(const v1::JobSpec& spec, internal::LaunchPlan& plan) const;
  [[nodiscard]] absl::Status set_output(const v1::JobSpec& spec, internal::LaunchPlan& plan) const;

  WorkerConfig::Jobs jobs_;
  LimitsPolicy limits_;
  ScriptFolder scripts_;
  ScriptDigests digests_;
  UploadedScripts uploads_;
  JobSettings settings_;
  AllowList commands_;
  AllowList programs_;
  AllowList archivers_;
};

}  // namespace clusterd
