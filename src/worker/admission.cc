#include "worker/admission.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "core/field_error.h"
#include "core/job_spec_check.h"
#include "core/proto_time.h"
#include "core/sha256.h"
#include "core/signal_names.h"
#include "core/units.h"
#include "worker/archive_environment.h"

namespace clusterd {
namespace {

constexpr size_t kMaxIdBytes = 128;

// Names in the lists are the administrator's words, so the administrator's PATH comes first.
std::string search_path() {
  const char* own = std::getenv("PATH");
  return own == nullptr ? std::string(kJobPath) : std::string(own) + ":" + kJobPath;
}

// Folders are named by it, whatever the scheduler says.
absl::Status check_key(const v1::AttemptKey& key) {
  const std::string& id = key.job_id();
  const bool is_name = !id.empty() && id.size() <= kMaxIdBytes && id.front() != '.' &&
                       std::all_of(id.begin(), id.end(), [](char c) {
                         return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                                c == '-' || c == '_';
                       });
  if (is_name) return absl::OkStatus();
  return invalid_field("job_id", "letters, digits, '.', '-' and '_' are allowed, at most " +
                                     std::to_string(kMaxIdBytes) + " of them");
}

}  // namespace

Admission::Admission(WorkerConfig::Jobs jobs, LimitsPolicy limits)
    : jobs_(std::move(jobs)),
      limits_(std::move(limits)),
      scripts_(jobs_.scripts_dir),
      digests_(jobs_.digests, jobs_.scripts_dir),
      uploads_(jobs_.data_dir + "/uploads"),
      settings_(jobs_, scripts_),
      commands_("allowed_commands", jobs_.allowed_commands, search_path()),
      programs_("allowed_programs", jobs_.allowed_programs, search_path()),
      archivers_("archive_commands", jobs_.archive_commands, search_path(),
                 "output.archive_command") {}

absl::StatusOr<internal::LaunchPlan> Admission::check(
    const v1::StartAttempt& attempt, const WorkerNames& worker,
    const std::vector<internal::UnenforcedLimit>& unenforced) {
  const v1::JobSpec& spec = attempt.spec();
  if (auto status = check_key(attempt.key()); !status.ok()) return status;
  if (auto status = check_job_spec(spec); !status.ok()) return status;
  if (!spec.handler().empty()) {
    return invalid_field("handler", "\"" + spec.handler() + "\": this worker offers none");
  }
  internal::LaunchPlan plan;
  *plan.mutable_key() = attempt.key();
  plan.set_trace_parent(attempt.trace_parent());
  if (auto status = resolve_command(spec, plan); !status.ok()) return status;
  auto folder = scripts_.find_working_folder(spec.cwd());
  if (!folder.ok()) return folder.status();
  plan.set_working_folder(*std::move(folder));
  if (auto status = set_bounds(spec, plan); !status.ok()) return status;
  auto limits = limits_.limits_of(spec, unenforced);
  if (!limits.ok()) return limits.status();
  *plan.mutable_limits() = *std::move(limits);
  if (auto status = settings_.apply(attempt, worker, plan); !status.ok()) return status;
  if (!plan.archive_command().empty()) {
    for (std::string& variable : make_archive_environment(attempt, worker)) {
      plan.add_archive_environment(std::move(variable));
    }
  }
  if (attempt.has_fence_after()) *plan.mutable_fence_after() = attempt.fence_after();
  return plan;
}

absl::Status Admission::resolve_command(const v1::JobSpec& spec, internal::LaunchPlan& plan) {
  if (spec.path().empty() && !spec.has_script()) {
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
    auto status = spec.has_script() ? keep_upload(spec, plan) : resolve_script(spec, plan);
    if (!status.ok()) return status;
  }
  for (const std::string& argument : spec.args()) plan.add_argv(argument);
  return absl::OkStatus();
}

absl::Status Admission::resolve_script(const v1::JobSpec& spec, internal::LaunchPlan& plan) {
  auto script = scripts_.find_script(spec.path());
  if (!script.ok()) return script.status();
  internal::CheckedScript& checked = *plan.mutable_script();
  checked.set_path(script->path);
  checked.set_is_read(!spec.command().empty() || script->has_interpreter);
  checked.set_argument(static_cast<uint32_t>(plan.argv_size()));
  checked.set_sealed(jobs_.seal_scripts || digests_.is_used());
  if (digests_.is_used()) {
    auto digest = digests_.verify(spec.path(), script->path);
    if (!digest.ok()) return digest.status();
    checked.set_sha256(*std::move(digest));
  }
  if (spec.command().empty()) {
    if (!script->executable) {
      return invalid_field("path", "\"" + spec.path() +
                                       "\" is not executable; make it so, or name its "
                                       "interpreter in command");
    }
    plan.set_executable(script->path);
  }
  plan.add_argv(std::move(script->path));
  return absl::OkStatus();
}

absl::Status Admission::check_upload(const v1::JobSpec& spec) const {
  if (!jobs_.allow_uploads) {
    const std::string place =
        spec.path().empty() ? jobs_.scripts_dir : jobs_.scripts_dir + "/" + spec.path();
    return field_error(absl::StatusCode::kPermissionDenied, "script",
                       "this worker does not run scripts that come with their jobs "
                       "(jobs.allow_uploads): it must lie at " +
                           place);
  }
  const uint64_t size = spec.script().content().size();
  if (size <= jobs_.max_upload_bytes) return absl::OkStatus();
  return invalid_field("script.content", std::to_string(size) +
                                             " bytes are more than this worker's max_upload of " +
                                             format_size(jobs_.max_upload_bytes));
}

absl::Status Admission::keep_upload(const v1::JobSpec& spec, internal::LaunchPlan& plan) {
  if (auto status = check_upload(spec); !status.ok()) return status;
  if (digests_.is_used()) {
    auto status = digests_.check_upload(sha256(spec.script().content()));
    if (!status.ok()) return status;
  }
  auto kept = uploads_.keep(spec.script());
  if (!kept.ok()) return kept.status();
  if (spec.command().empty() && !kept->has_interpreter && !kept->is_binary) {
    return invalid_field("script.content",
                         "does not begin with \"#!\"; name its interpreter in command");
  }
  internal::CheckedScript& checked = *plan.mutable_script();
  checked.set_path(kept->path);
  checked.set_is_read(!spec.command().empty() || kept->has_interpreter);
  checked.set_argument(static_cast<uint32_t>(plan.argv_size()));
  checked.set_sealed(true);
  checked.set_is_uploaded(true);
  checked.set_sha256(kept->sha256);
  if (spec.command().empty()) plan.set_executable(kept->path);
  plan.add_argv(std::move(kept->path));
  return absl::OkStatus();
}

absl::StatusOr<v1::ListWorkerScriptsResponse> Admission::list_scripts(
    const v1::ListWorkerScriptsRequest& request) {
  return scripts_.list(request, [this](const std::string& path) { return digests_.has(path); });
}

absl::Status Admission::set_bounds(const v1::JobSpec& spec, internal::LaunchPlan& plan) const {
  if (auto status = set_output(spec, plan); !status.ok()) return status;
  auto timeout = limits_.timeout_of(spec);
  if (!timeout.ok()) return timeout.status();
  if (*timeout) *plan.mutable_timeout() = **timeout;
  plan.set_stop_signal(signal_number(spec.stop_signal()).value_or(SIGTERM));
  *plan.mutable_stop_grace() =
      spec.has_stop_grace() ? spec.stop_grace() : to_proto(jobs_.stop_grace);
  return absl::OkStatus();
}

absl::Status Admission::set_output(const v1::JobSpec& spec, internal::LaunchPlan& plan) const {
  const v1::OutputSpec& output = spec.output();
  const uint64_t wanted = output.max_bytes();
  if (wanted > jobs_.max_output_bytes) {
    return invalid_field("output.max_bytes", std::to_string(wanted) +
                                                 " is above this worker's max_output of " +
                                                 std::to_string(jobs_.max_output_bytes) + " (" +
                                                 format_size(jobs_.max_output_bytes) + ")");
  }
  plan.set_max_output_bytes(wanted == 0 ? jobs_.max_output_bytes : wanted);
  const bool is_separate = output.mode() == v1::OutputSpec::SEPARATE;
  plan.set_output_mode(is_separate ? v1::OutputSpec::SEPARATE : v1::OutputSpec::MERGED);
  const bool stops = output.on_limit() == v1::OutputSpec::STOP;
  plan.set_on_output_limit(stops ? v1::OutputSpec::STOP : v1::OutputSpec::DISCARD_OLDEST);
  *plan.mutable_full_disk_wait() = to_proto(jobs_.full_disk_wait);
  if (output.archive_command().empty()) return absl::OkStatus();
  auto archiver = archivers_.find(output.archive_command());
  if (!archiver.ok()) return archiver.status();
  plan.set_archive_command(*std::move(archiver));
  *plan.mutable_archive_timeout() = to_proto(jobs_.archive_timeout);
  return absl::OkStatus();
}

}  // namespace clusterd
