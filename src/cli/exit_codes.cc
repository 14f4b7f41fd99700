#include "cli/exit_codes.h"

#include <cstdio>
#include <string>

#include "cli/hints.h"
#include "client/scheduler_client.h"

namespace clusterd {

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
  const std::string hint = hint_of(status);
  if (!hint.empty()) std::fprintf(stderr, "  %s\n", hint.c_str());
  return exit_code_of(status);
}

}  // namespace clusterd
