#include "cli/exit_codes.h"

#include <cstdio>
#include <string>

#include "cli/hints.h"
#include "client/scheduler_client.h"

namespace clusterd {

std::vector<ExitCodeMeaning> exit_code_meanings() {
  return {
      {std::to_string(kExitOk), "Done."},
      {"the job's",
       "Where a command waits for a job: its exit code, 128 + n for a signal, 124 timed out, 125 "
       "lost or unknown, 126 could not be started, 130 stopped."},
      {std::to_string(kExitUsage), "Usage, bad input."},
      {std::to_string(kExitNotFound), "Not found."},
      {std::to_string(kExitUnreachable), "The scheduler cannot be reached."},
      {std::to_string(kExitOther), "Anything else, such as an output that cannot be written."},
      {std::to_string(kExitTryAgain),
       "Try again: the queue is full, a worker is away, or something takes longer than the wait."},
      {std::to_string(kExitNotAllowed), "Not allowed."},
  };
}

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
