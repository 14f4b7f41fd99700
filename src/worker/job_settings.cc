#include "worker/job_settings.h"

#include <optional>
#include <utility>

#include "core/umask.h"
#include "worker/scratch_paths.h"

namespace clusterd {

JobSettings::JobSettings(const WorkerConfig::Jobs& jobs, const ScriptFolder& scripts)
    : scripts_(scripts),
      env_allow_(jobs.env_allow),
      scratch_dir_(jobs.scratch_dir),
      allow_new_privileges_(jobs.allow_new_privileges),
      sets_home_(jobs.env.contains("HOME")),
      base_(base_environment(jobs)),
      users_(jobs.run_as, jobs.allowed_users) {}

absl::Status JobSettings::apply(const v1::StartAttempt& attempt, const WorkerNames& worker,
                                internal::LaunchPlan& plan) const {
  const v1::JobSpec& spec = attempt.spec();
  if (auto status = check_environment(spec, env_allow_); !status.ok()) return status;
  auto user = users_.choose(spec.run_as());
  if (!user.ok()) return user.status();
  JobSetting setting;
  if (*user) {
    setting.user = (*user)->ids.name();
    setting.home = sets_home_ ? base_.at("HOME") : (*user)->home;
    *plan.mutable_run_as() = std::move((*user)->ids);
  }
  plan.set_allow_new_privileges(allow_new_privileges_);
  if (!scratch_dir_.empty()) {
    setting.scratch = scratch_folder(scratch_dir_, attempt.key(), spec.keep_scratch());
    plan.set_scratch_folder(setting.scratch);
    plan.set_keep_scratch(spec.keep_scratch());
  }
  if (!spec.stdin_file().empty()) {
    auto file = scripts_.find_input(spec.stdin_file());
    if (!file.ok()) return file.status();
    plan.set_stdin_file(*std::move(file));
  }
  plan.set_stdin(spec.stdin());
  if (const auto mask = parse_umask(spec.umask())) plan.set_umask(*mask);
  for (std::string& variable : make_environment(attempt, worker, setting, base_)) {
    plan.add_environment(std::move(variable));
  }
  return absl::OkStatus();
}

}  // namespace clusterd
