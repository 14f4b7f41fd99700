#include "worker/job_environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/strings/str_join.h"
#include "core/field_error.h"
#include "core/resources_check.h"
#include "core/trace_context.h"

namespace clusterd {
namespace {

// The loader and the C library, shells, then interpreters: each makes something load or run code,
// or look for it elsewhere, before the script's first line.
constexpr auto kRefused = std::to_array<std::string_view>({
    "LD_*",
    "GLIBC_*",
    "GCONV_PATH",
    "LOCPATH",
    "BASH_*",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "IFS",
    "CDPATH",
    "ZDOTDIR",
    "FPATH",
    "PYTHON*",
    "RUBY*",
    "GEM_*",
    "BUNDLE_*",
    "PERL5*",
    "PERLLIB",
    "NODE_*",
    "LUA_*",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "TCLLIBPATH",
    "AWKPATH",
    "AWKLIBPATH",
    "DOTNET_*",
    "PATH",
    "HOME",
    "CLUSTERD_*",
});

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

Variables base_environment(const WorkerConfig::Jobs& jobs) {
  Variables variables = {{"PATH", kJobPath}, {"HOME", "/"}, {"LANG", "C.UTF-8"}};
  for (const char* name : {"HOME", "LANG", "TZ"}) {
    if (const char* value = std::getenv(name)) variables[name] = value;
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = text.substr(0, equals);
    if (!matches_any(jobs.pass_env, name)) continue;
    variables[std::string(name)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : jobs.env) variables[name] = value;
  return variables;
}

std::vector<std::string> make_environment(const v1::StartAttempt& attempt,
                                          const WorkerNames& worker, const JobSetting& setting,
                                          Variables base) {
  Variables variables = std::move(base);
  if (!setting.user.empty()) {
    for (const char* name : {"USER", "LOGNAME"}) variables[name] = setting.user;
    variables["HOME"] = setting.home;
  }
  if (!setting.scratch.empty()) variables.try_emplace("TMPDIR", setting.scratch);
  if (is_trace_parent(attempt.trace_parent())) variables["TRACEPARENT"] = attempt.trace_parent();
  for (const auto& [name, value] : attempt.spec().env()) variables[name] = value;
  variables["CLUSTERD_JOB_ID"] = attempt.key().job_id();
  variables["CLUSTERD_ATTEMPT"] = std::to_string(attempt.key().attempt());
  variables["CLUSTERD_WORKER_ID"] = worker.worker_id;
  variables["CLUSTERD_WORKER_NAME"] = worker.name;
  if (!setting.scratch.empty()) variables["CLUSTERD_SCRATCH"] = setting.scratch;
  if (attempt.has_task_index()) {
    variables["CLUSTERD_TASK_INDEX"] = std::to_string(attempt.task_index());
    variables["CLUSTERD_TASK_COUNT"] = std::to_string(attempt.task_count());
  }
  for (const v1::AssignedUnits& units : attempt.units()) {
    variables[ids_variable(units.name())] = absl::StrJoin(units.ids(), ",");
  }
  if (attempt.spec().has_gang()) {
    variables["CLUSTERD_RANK"] = std::to_string(attempt.task_index());
    variables["CLUSTERD_SIZE"] = std::to_string(attempt.task_count());
    variables["CLUSTERD_PEERS"] = absl::StrJoin(attempt.peers(), ",");
  }
  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace clusterd
