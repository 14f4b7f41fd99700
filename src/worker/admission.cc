#include "worker/admission.h"

#include <csignal>
#include <cstdlib>
#include <utility>

#include "core/field_error.h"
#include "core/job_spec_check.h"
#include "core/proto_time.h"
#include "core/signal_names.h"
#include "core/units.h"

namespace clusterd {
namespace {

// Names in the lists are the administrator's words, so the administrator's PATH comes first.
std::string search_path() {
  const char* own = std::getenv("PATH");
  return own == nullptr ? std::string(kJobPath) : std::string(own) + ":" + kJobPath;
}

}  // namespace

Admission::Admission(WorkerConfig::Jobs jobs)
    : jobs_(std::move(jobs)),
      scripts_(jobs_.scripts_dir),
      commands_("allowed_commands", jobs_.allowed_commands, search_path()),
      programs_("allowed_programs", jobs_.allowed_programs, search_path()) {}

absl::StatusOr<internal::LaunchPlan> Admission::check(const v1::StartAttempt& attempt,
                                                      const WorkerNames& worker) const {
  const v1::JobSpec& spec = attempt.spec();
  if (auto status = check_job_spec(spec); !status.ok()) return status;
  if (auto status = check_environment(spec, jobs_.env_allow); !status.ok()) return status;
  internal::LaunchPlan plan;
  *plan.mutable_key() = attempt.key();
  if (auto status = resolve_command(spec, plan); !status.ok()) return status;
  auto folder = scripts_.find_working_folder(spec.cwd());
  if (!folder.ok()) return folder.status();
  plan.set_working_folder(*std::move(folder));
  if (auto status = set_bounds(spec, plan); !status.ok()) return status;
  for (std::string& variable : make_environment(attempt, worker)) {
    plan.add_environment(std::move(variable));
  }
  plan.set_stdin(spec.stdin());
  if (attempt.has_fence_after()) *plan.mutable_fence_after() = attempt.fence_after();
  return plan;
}

absl::Status Admission::resolve_command(const v1::JobSpec& spec, internal::LaunchPlan& plan) const {
  if (spec.path().empty()) {
    auto program = programs_.find(spec.command());
    if (!program.ok()) return program.status();
    plan.set_executable(*std::move(program));
    plan.add_argv(spec.command());
  } else {
    if (!spec.command().empty()) {
      auto command = commands_.find(spec.command());
      if (!command.ok()) return command.status();
      plan.set_executable(*std::move(command));
      plan.add_argv(spec.command());
    }
    auto script = scripts_.find_script(spec.path());
    if (!script.ok()) return script.status();
    if (spec.command().empty()) {
      if (!script->executable) {
        return invalid_field("path", "\"" + spec.path() +
                                         "\" is not executable; make it so, or name its "
                                         "interpreter in command");
      }
      plan.set_executable(script->path);
    }
    plan.add_argv(std::move(script->path));
  }
  for (const std::string& argument : spec.args()) plan.add_argv(argument);
  return absl::OkStatus();
}

absl::Status Admission::set_bounds(const v1::JobSpec& spec, internal::LaunchPlan& plan) const {
  const uint64_t wanted = spec.output().max_bytes();
  if (wanted > jobs_.max_output_bytes) {
    return invalid_field("output.max_bytes", std::to_string(wanted) +
                                                 " is above this worker's max_output of " +
                                                 std::to_string(jobs_.max_output_bytes) + " (" +
                                                 format_size(jobs_.max_output_bytes) + ")");
  }
  plan.set_max_output_bytes(wanted == 0 ? jobs_.max_output_bytes : wanted);
  plan.set_output_mode(spec.output().mode() == v1::OutputSpec::SEPARATE ? v1::OutputSpec::SEPARATE
                                                                        : v1::OutputSpec::MERGED);
  if (from_proto(spec.timeout()).count() > 0) *plan.mutable_timeout() = spec.timeout();
  plan.set_stop_signal(signal_number(spec.stop_signal()).value_or(SIGTERM));
  *plan.mutable_stop_grace() =
      spec.has_stop_grace() ? spec.stop_grace() : to_proto(jobs_.stop_grace);
  return absl::OkStatus();
}

}  // namespace clusterd
