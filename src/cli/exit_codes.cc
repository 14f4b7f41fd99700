#include "cli/exit_codes.h"

#include <cstdio>
#include <string>

#include "client/scheduler_client.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

std::string next_thing_to_try(const absl::Status& status) {
  if (is_scheduler_unreachable(status)) {
    return "is it running? Start one with `clusterd dev` or `clusterd scheduler --config FILE`, or "
           "name another with --addr";
  }
  const std::string field = field_of(status);
  if (absl::IsPermissionDenied(status) && field == "command") {
    return "the worker's [jobs] allowed_commands (scripts) or allowed_programs (--program) decide";
  }
  if (absl::IsPermissionDenied(status) && field == "env") {
    return "the worker's [jobs] env_allow decides";
  }
  if (absl::IsNotFound(status) && field == "worker_id") return "see `clusterd cluster workers`";
  if (absl::IsResourceExhausted(status)) return "try again later";
  return "";
}

}  // namespace

int exit_code_of(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return is_scheduler_unreachable(status) ? kExitUnreachable : kExitTryAgain;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
      return kExitTryAgain;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kExitNotAllowed;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    default:
      return kExitOther;
  }
}

int report_error(const absl::Status& status) {
  std::fprintf(stderr, "clusterd: %s\n", std::string(status.message()).c_str());
  const std::string hint = next_thing_to_try(status);
  if (!hint.empty()) std::fprintf(stderr, "  %s\n", hint.c_str());
  return exit_code_of(status);
}

}  // namespace clusterd
