#include "worker/launcher/child_setting.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/launcher/sealed_script.h"

namespace clusterd {

absl::Status ChildSetting::prepare(internal::LaunchPlan& plan) {
  plan_ = &plan;
  groups_.assign(plan.run_as().groups().begin(), plan.run_as().groups().end());
  umask_ = plan.umask();
  const internal::CheckedScript& script = plan.script();
  if (!script.sealed()) return absl::OkStatus();
  absl::StatusOr<UniqueFd> copy = seal_script(script);
  if (!copy.ok()) return copy.status();
  sealed_script_ = *std::move(copy);
  if (plan.executable() == script.path()) plan.set_executable(kSealedScriptPath);
  plan.set_argv(static_cast<int>(script.argument()), kSealedScriptPath);
  return absl::OkStatus();
}

void ChildSetting::add_to(ChildPlan& child) const {
  if (plan_->has_run_as()) {
    child.user.is_another = true;
    child.user.uid = plan_->run_as().uid();
    child.user.gid = plan_->run_as().gid();
    child.user.groups = groups_.data();
    child.user.group_count = groups_.size();
    if (!plan_->scratch_folder().empty()) child.scratch = plan_->scratch_folder().c_str();
  }
  child.user.allow_new_privileges = plan_->allow_new_privileges();
  child.service_user = ::geteuid();
  if (plan_->has_script() && !plan_->script().is_uploaded()) {
    child.script = plan_->script().path().c_str();
    child.script_is_read = plan_->script().is_read();
  }
  child.sealed_script = sealed_script_.get();
  if (!plan_->stdin_file().empty()) child.input_file = plan_->stdin_file().c_str();
  if (plan_->has_umask()) child.umask = &umask_;
}

absl::Status give_to_user(const std::string& path, const internal::LaunchPlan& plan) {
  if (!plan.has_run_as()) return absl::OkStatus();
  if (::lchown(path.c_str(), plan.run_as().uid(), plan.run_as().gid()) == 0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(path, ": cannot be given to ", plan.run_as().name(),
                                             ": ", std::strerror(errno)));
}

}  // namespace clusterd
