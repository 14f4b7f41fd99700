#include "core/job_spec_check.h"

#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "core/field_error.h"
#include "core/handler_check.h"
#include "core/limits_check.h"
#include "core/queueing_check.h"
#include "core/resources_check.h"
#include "core/sha256.h"
#include "core/signal_names.h"
#include "core/umask.h"

namespace clusterd {
namespace {

constexpr int64_t kMaxDurationSeconds = 315'576'000'000;  // protobuf's own bound
constexpr int32_t kMaxNanos = 999'999'999;

// First that is not OK. The checks are cheap, so all arguments being evaluated does no harm.
template <typename... Statuses>
absl::Status first_error(Statuses... statuses) {
  absl::Status result;
  (void)((result = std::move(statuses), !result.ok()) || ...);
  return result;
}

constexpr uint32_t kMaxSlots = 1'000'000;
constexpr uint64_t kMaxMemoryBytes = uint64_t{1} << 60;

std::string bound(uint64_t is, uint64_t allowed, const std::string& unit = "bytes") {
  return std::to_string(is) + " " + unit + " are more than the " + std::to_string(allowed) +
         " allowed";
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

absl::Status check_text(std::string_view field, std::string_view text, uint64_t max_bytes) {
  if (text.size() > max_bytes) return invalid_field(field, bound(text.size(), max_bytes));
  if (has_nul(text)) return invalid_field(field, "contains a NUL byte, which is not allowed");
  return absl::OkStatus();
}

absl::Status check_command(const v1::JobSpec& spec, ScriptPlace place) {
  if (auto status = check_text("payload", spec.payload(), kMaxArgsBytes); !status.ok()) {
    return status;
  }
  const bool has_any = !spec.path().empty() || !spec.command().empty() || !spec.payload().empty() ||
                       !spec.handler().empty();
  if (!has_any && !spec.has_script()) {
    return invalid_field(
        "path",
        "is empty, and so is command: give the path of a script below the "
        "worker's scripts_dir, a command from its allowed_programs, or the name of a handler");
  }
  if (auto status = check_text("command", spec.command(), kMaxPathBytes); !status.ok()) {
    return status;
  }
  if (spec.path().empty()) return absl::OkStatus();
  return place == ScriptPlace::kAnywhere ? check_text("path", spec.path(), kMaxPathBytes)
                                         : check_relative_path("path", spec.path());
}

// A script that comes with its job.
absl::Status check_script(const v1::JobSpec& spec) {
  if (!spec.has_script()) return absl::OkStatus();
  const v1::ScriptContent& script = spec.script();
  if (script.content().empty()) return invalid_field("script.content", "is empty");
  if (script.content().size() > kMaxScriptBytes) {
    return invalid_field("script.content", bound(script.content().size(), kMaxScriptBytes));
  }
  const std::string digest = absl::BytesToHexString(sha256(script.content()));
  if (script.sha256().empty() || absl::AsciiStrToLower(script.sha256()) == digest) {
    return absl::OkStatus();
  }
  return invalid_field("script.sha256", "\"" + script.sha256().substr(0, 2 * digest.size()) +
                                            "\" is not the SHA-256 of script.content, which is " +
                                            digest);
}

uint64_t args_bytes(const v1::JobSpec& spec) {
  uint64_t total = 0;
  for (const std::string& arg : spec.args()) total += arg.size() + 1;
  return total;
}

uint64_t env_bytes(const v1::JobSpec& spec) {
  uint64_t total = 0;
  for (const auto& [name, value] : spec.env()) total += name.size() + value.size() + 2;
  return total;
}

absl::Status check_args(const v1::JobSpec& spec) {
  for (int i = 0; i < spec.args_size(); ++i) {
    if (has_nul(spec.args(i))) {
      return invalid_field("args[" + std::to_string(i) + "]",
                           "contains a NUL byte, which no argument can");
    }
  }
  const uint64_t total = args_bytes(spec);
  if (total > kMaxArgsBytes) return invalid_field("args", bound(total, kMaxArgsBytes));
  return absl::OkStatus();
}

absl::Status check_env(const v1::JobSpec& spec) {
  for (const auto& [name, value] : spec.env()) {
    if (name.empty()) return invalid_field("env", "a variable's name is empty");
    if (name.find('=') != std::string::npos) {
      return invalid_field("env", "the name \"" + name + "\" contains '='");
    }
    if (has_nul(name)) return invalid_field("env", "a variable's name contains a NUL byte");
    if (has_nul(value)) {
      return invalid_field("env", "the value of \"" + name + "\" contains a NUL byte");
    }
  }
  const uint64_t total = env_bytes(spec);
  if (total > kMaxEnvBytes) return invalid_field("env", bound(total, kMaxEnvBytes));
  return absl::OkStatus();
}

absl::Status check_duration(std::string_view field, bool set,
                            const google::protobuf::Duration& duration) {
  if (!set) return absl::OkStatus();
  const bool negative = duration.seconds() < 0 || duration.nanos() < 0;
  if (negative) {
    return invalid_field(field, std::to_string(duration.seconds()) +
                                    "s: a negative duration is not allowed, 0 is the least");
  }
  if (duration.seconds() > kMaxDurationSeconds || duration.nanos() > kMaxNanos) {
    return invalid_field(
        field, "is no valid duration: at most " + std::to_string(kMaxDurationSeconds) + " seconds");
  }
  return absl::OkStatus();
}

absl::Status check_durations(const v1::JobSpec& spec) {
  return first_error(
      check_duration("timeout", spec.has_timeout(), spec.timeout()),
      check_duration("queue_timeout", spec.has_queue_timeout(), spec.queue_timeout()),
      check_duration("stop_grace", spec.has_stop_grace(), spec.stop_grace()),
      check_duration("lost_after", spec.has_lost_after(), spec.lost_after()),
      check_duration("start_delay", spec.has_start_delay(), spec.start_delay()),
      check_duration("retry.backoff", spec.retry().has_backoff(), spec.retry().backoff()));
}

absl::Status check_stop_signal(const v1::JobSpec& spec) {
  if (spec.stop_signal().empty() || signal_number(spec.stop_signal())) return absl::OkStatus();
  return invalid_field("stop_signal", "\"" + spec.stop_signal() +
                                          "\" is no signal: a name such as TERM or SIGINT, or a "
                                          "number from 1 to 64");
}

// What the job gets of its worker's files and users.
absl::Status check_setting(const v1::JobSpec& spec) {
  if (spec.stdin().size() > kMaxStdinBytes) {
    return invalid_field("stdin", bound(spec.stdin().size(), kMaxStdinBytes));
  }
  if (!spec.stdin_file().empty()) {
    if (!spec.stdin().empty()) {
      return invalid_field("stdin_file", "is set, and so is stdin: only one of them can be");
    }
    auto status = check_relative_path("stdin_file", spec.stdin_file());
    if (!status.ok()) return status;
  }
  if (!spec.umask().empty() && !parse_umask(spec.umask())) {
    return invalid_field(
        "umask", "\"" + spec.umask() + "\" is no mask: octal digits such as 027, at most 0777");
  }
  return check_text("run_as", spec.run_as(), kMaxJobNameBytes);
}

absl::Status check_labels(const v1::JobSpec& spec) {
  uint64_t total = 0;
  for (const auto& [name, value] : spec.labels()) {
    if (name.empty()) return invalid_field("labels", "a label's name is empty");
    if (has_nul(name) || has_nul(value)) {
      return invalid_field("labels", "a label contains a NUL byte");
    }
    total += name.size() + value.size();
  }
  for (const std::string& expression : spec.require()) total += expression.size();
  if (total > kMaxLabelsBytes) return invalid_field("labels", bound(total, kMaxLabelsBytes));
  return absl::OkStatus();
}

absl::Status check_ranges(const v1::JobSpec& spec) {
  if (spec.priority() < -kMaxPriority || spec.priority() > kMaxPriority) {
    return invalid_field("priority",
                         std::to_string(spec.priority()) + " is not within -1000 to 1000");
  }
  if (!std::isfinite(spec.resources().cpus()) || spec.resources().cpus() < 0) {
    return invalid_field("resources.cpus", std::to_string(spec.resources().cpus()) +
                                               " is not a number of processors of 0 or more");
  }
  if (spec.resources().slots() > kMaxSlots) {
    return invalid_field("resources.slots", bound(spec.resources().slots(), kMaxSlots, "slots"));
  }
  if (spec.resources().memory_bytes() > kMaxMemoryBytes) {
    return invalid_field("resources.memory_bytes",
                         bound(spec.resources().memory_bytes(), kMaxMemoryBytes, "bytes"));
  }
  if (!v1::OutputSpec::Mode_IsValid(spec.output().mode())) {
    return invalid_field("output.mode",
                         std::to_string(spec.output().mode()) + " is neither MERGED nor SEPARATE");
  }
  if (!v1::OutputSpec::LimitPolicy_IsValid(spec.output().on_limit())) {
    return invalid_field("output.on_limit", std::to_string(spec.output().on_limit()) +
                                                " is neither DISCARD_OLDEST nor STOP");
  }
  for (const int on : spec.retry().on()) {
    if (on == v1::RetryPolicy::ON_UNSPECIFIED || !v1::RetryPolicy::On_IsValid(on)) {
      return invalid_field(
          "retry.on", std::to_string(on) + " is none of FAILURE, TIMEOUT, LOSS, START_FAILURE");
    }
  }
  if (spec.after_size() > kMaxDependencies) {
    return invalid_field(
        "after", bound(static_cast<uint64_t>(spec.after_size()), kMaxDependencies, "dependencies"));
  }
  return absl::OkStatus();
}

absl::Status check_array(const v1::JobSpec& spec) {
  if (!spec.has_array()) return absl::OkStatus();
  const v1::ArraySpec& array = spec.array();
  if (array.to() < array.from()) {
    return invalid_field("array.to", std::to_string(array.to()) +
                                         " is below array.from = " + std::to_string(array.from()));
  }
  const uint64_t step = array.step() == 0 ? 1 : array.step();
  const uint64_t tasks = (uint64_t{array.to()} - array.from()) / step + 1;
  if (tasks > kMaxArrayTasks) return invalid_field("array", bound(tasks, kMaxArrayTasks, "tasks"));
  return absl::OkStatus();
}

}  // namespace

absl::Status check_job_sizes(const v1::JobSpec& spec, const SchedulerConfig::Scheduling& bounds) {
  struct Size {
    const char* field;
    uint64_t is;
    uint64_t allowed;
    const char* key;
  };
  for (const Size& size :
       {Size{"args", args_bytes(spec), bounds.max_args_bytes, "max_args"},
        Size{"payload", spec.payload().size(), bounds.max_args_bytes, "max_args"},
        Size{"env", env_bytes(spec), bounds.max_env_bytes, "max_env"},
        Size{"stdin", spec.stdin().size(), bounds.max_stdin_bytes, "max_stdin"}}) {
    if (size.is <= size.allowed) continue;
    return invalid_field(size.field, bound(size.is, size.allowed) +
                                         " by this scheduler (scheduling." + size.key + ")");
  }
  return absl::OkStatus();
}

absl::Status check_record_size(const v1::JobSpec& spec, const SchedulerConfig::Store& store) {
  const size_t size = store.backend == "etcd" ? spec.ByteSizeLong() : 0;
  if (size <= kMaxSpecBytesInEtcd) return absl::OkStatus();
  return invalid_field("spec", bound(size, kMaxSpecBytesInEtcd) +
                                   " by this scheduler, whose store is etcd: args, env, stdin and "
                                   "script together");
}

absl::Status check_relative_path(std::string_view field, std::string_view path) {
  if (auto status = check_text(field, path, kMaxPathBytes); !status.ok()) return status;
  const std::string quoted = "\"" + std::string(path) + "\"";
  if (path.front() == '/') {
    return invalid_field(field, quoted + " is absolute; it must be relative to the scripts folder");
  }
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(path.data(), path.size()), '/')) {
    if (part == "..") {
      return invalid_field(field,
                           quoted + " contains \"..\"; it must stay below the scripts folder");
    }
  }
  return absl::OkStatus();
}

absl::Status check_job_spec(const v1::JobSpec& spec, ScriptPlace place) {
  return first_error(
      check_text("name", spec.name(), kMaxJobNameBytes),
      check_text("worker_id", spec.worker_id(), kMaxJobNameBytes), check_command(spec, place),
      check_handler_job(spec), check_script(spec), check_args(spec), check_env(spec),
      spec.cwd().empty() ? absl::OkStatus() : check_relative_path("cwd", spec.cwd()),
      check_setting(spec),
      check_text("output.archive_command", spec.output().archive_command(), kMaxPathBytes),
      check_durations(spec), check_stop_signal(spec),
      spec.queue().empty() ? absl::OkStatus() : check_queue_name("queue", spec.queue()),
      check_labels(spec), check_ranges(spec), check_array(spec), check_queueing(spec),
      check_placement(spec), check_limits(spec.limits()));
}

}  // namespace clusterd
