#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace clusterd {

// The file that this process runs, also where another one lies at its path by now.
inline constexpr char kOwnExecutable[] = "/proc/self/exe";

// Its path, or that of the one which lies there by now.
[[nodiscard]] absl::StatusOr<std::string> own_executable();

// Argument of a launcher by which an executable says that it can take over from another one.
inline constexpr char kCanReplace[] = "--can-replace";

// What tells one executable file from another, a copy of it too; empty where it cannot be read.
[[nodiscard]] std::string executable_id(const std::string& path);

// Runs `path` with `argument` and waits for at most 10 s. An error: it cannot be run here, or does
// not exit with 0; it may have told standard error why. Blocks.
[[nodiscard]] absl::Status try_executable(const std::string& path,
                                          const std::vector<std::string>& arguments);

}  // namespace clusterd
