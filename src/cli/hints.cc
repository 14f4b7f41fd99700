#include "cli/hints.h"

#include <array>
#include <utility>

#include "absl/strings/cord.h"
#include "client/scheduler_client.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr char kHint[] = "clusterd/hint";

constexpr char kUnreachable[] =
    "is it running? Start one with `clusterd dev` or `clusterd scheduler --config FILE`; another "
    "address is named by --addr HOST:PORT, CLUSTERD_ADDR, or addr in ~/.config/clusterd/client.toml"
    ". Where it uses TLS, --ca is needed";

// About one field of a job, by its name or the beginning of it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kOfFields = {{
    {"command",
     "the worker's [jobs] allowed_commands (scripts) or allowed_programs (--program) decide"},
    {"script", "the worker's [jobs] allow_uploads and digests decide"},
    {"env", "the worker's [jobs] env_allow decides"},
    {"run_as", "the worker's [jobs] allowed_users decides"},
    {"output.archive_command", "the worker's [jobs] archive_commands decides"},
    {"job_id", "`clusterd job list` shows jobs, the newest first; `last` is the newest"},
    {"worker_id", "see `clusterd cluster workers`"},
    {"require", "see `clusterd cluster workers --label`"},
    {"limits.", "the worker's [limits] and its kernel decide; see its log"},
}};

std::string scripts_of(const std::string& worker) {
  return "`clusterd cluster scripts " + (worker.empty() ? "WORKER" : worker) +
         "` lists the scripts that may be run there; --upload sends one that lies here";
}

std::string hint_of_field(const absl::Status& status, std::string_view field) {
  if (field == "path") return scripts_of("");
  const bool is_known = absl::IsNotFound(status) || absl::IsPermissionDenied(status) ||
                        absl::IsFailedPrecondition(status) || field == "require";
  if (!is_known) return "";
  for (const auto& [name, hint] : kOfFields) {
    const bool is_prefix = name.ends_with('.');
    if (field == name || (is_prefix && field.starts_with(name))) return std::string(hint);
  }
  return "";
}

}  // namespace

std::string hint_of(const absl::Status& status) {
  if (const auto given = status.GetPayload(kHint)) return std::string(*given);
  if (is_scheduler_unreachable(status)) return kUnreachable;
  if (const std::string field = field_of(status); !field.empty()) {
    return hint_of_field(status, field);
  }
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return "say who is calling: --token or CLUSTERD_TOKEN with what `clusterd token create` "
             "printed, or --cert and --key";
    case absl::StatusCode::kPermissionDenied:
      return "`clusterd token create --role ROLE` or `clusterd tls issue client --role ROLE` makes "
             "credentials of another role, where the scheduler is administered";
    case absl::StatusCode::kResourceExhausted:
      return "try again later; `clusterd cluster status` counts what is queued";
    case absl::StatusCode::kUnavailable:
      return "try again later; `clusterd cluster workers` shows which workers are there";
    case absl::StatusCode::kUnimplemented:
      return "the scheduler may be older than this program: `clusterd cluster status`, "
             "`clusterd --version`";
    default:
      return "";
  }
}

std::string hint_of_end(const v1::Job& job) {
  if (job.end().reason() != v1::JobEnd::START_FAILED) return "";
  return job.end().message().starts_with("path: ") ? scripts_of(job.worker_id()) : "";
}

absl::Status with_hint(absl::Status status, std::string_view hint) {
  status.SetPayload(kHint, absl::Cord(absl::string_view(hint.data(), hint.size())));
  return status;
}

absl::Status with_worker(absl::Status status, const std::string& worker) {
  if (field_of(status) != "path") return status;
  return with_hint(std::move(status), scripts_of(worker));
}

}  // namespace clusterd
