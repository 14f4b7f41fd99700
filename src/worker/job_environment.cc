#include "worker/job_environment.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <string_view>

#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr std::array<std::string_view, 16> kRefused = {
    "LD_*", "GLIBC_*", "GCONV_PATH", "BASH_*", "ENV",    "SHELLOPTS", "BASHOPTS", "PS4",
    "IFS",  "PYTHON*", "RUBY*",      "PERL5*", "NODE_*", "PATH",      "HOME",     "CLUSTERD_*"};

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  pattern.remove_suffix(1);
  return name.starts_with(pattern);
}

template <typename Patterns>
bool matches_any(const Patterns& patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [name](std::string_view pattern) { return matches(pattern, name); });
}

}  // namespace

absl::Status check_environment(const v1::JobSpec& spec, const std::vector<std::string>& env_allow) {
  std::string refused;  // the first by name: a map of protobuf has no order
  for (const auto& [name, value] : spec.env()) {
    if (!matches_any(kRefused, name) || matches_any(env_allow, name)) continue;
    if (refused.empty() || name < refused) refused = name;
  }
  if (refused.empty()) return absl::OkStatus();
  return field_error(absl::StatusCode::kPermissionDenied, "env",
                     "the variable \"" + refused +
                         "\" may not be set; names that change what an interpreter or the loader "
                         "runs are allowed only where the worker's env_allow has them");
}

std::vector<std::string> make_environment(const v1::StartAttempt& attempt,
                                          const WorkerNames& worker) {
  std::map<std::string, std::string> variables = {{"PATH", kJobPath}};
  for (const char* name : {"HOME", "LANG", "TZ"}) {
    if (const char* value = std::getenv(name)) variables[name] = value;
  }
  if (!attempt.trace_parent().empty()) variables["TRACEPARENT"] = attempt.trace_parent();
  for (const auto& [name, value] : attempt.spec().env()) variables[name] = value;
  variables["CLUSTERD_JOB_ID"] = attempt.key().job_id();
  variables["CLUSTERD_ATTEMPT"] = std::to_string(attempt.key().attempt());
  variables["CLUSTERD_WORKER_ID"] = worker.worker_id;
  variables["CLUSTERD_WORKER_NAME"] = worker.name;
  if (attempt.has_task_index()) {
    variables["CLUSTERD_TASK_INDEX"] = std::to_string(attempt.task_index());
    variables["CLUSTERD_TASK_COUNT"] = std::to_string(attempt.task_count());
  }
  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace clusterd
