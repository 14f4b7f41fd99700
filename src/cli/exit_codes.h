#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace clusterd {

// What the process exits with, beside a waited-for job's own code.
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 64;        // usage or bad input
inline constexpr int kExitNotFound = 66;     // no such job, worker or file
inline constexpr int kExitUnreachable = 69;  // no scheduler answers
inline constexpr int kExitOther = 70;        // anything else
inline constexpr int kExitTryAgain = 75;     // it may work later
inline constexpr int kExitNotAllowed = 77;   // forbidden to the caller
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitPipeClosed = 141;  // as if SIGPIPE had ended us

// What the manual says of one code, or of one kind of them.
struct ExitCodeMeaning {
  std::string code;
  std::string text;
};
[[nodiscard]] std::vector<ExitCodeMeaning> exit_code_meanings();

// The one table from errors to exit codes.
[[nodiscard]] int exit_code_of(const absl::Status& status);

// Prints "clusterd: <what>" and, where there is one, the next thing to try; gives the exit code.
int report_error(const absl::Status& status);

}  // namespace clusterd
