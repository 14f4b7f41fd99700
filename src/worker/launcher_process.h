#pragma once

#include <sys/types.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/launcher_connection.h"
#include "worker/unique_fd.h"

namespace clusterd {

// A launcher that this process has started.
struct LauncherProcess {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd ready;  // one byte when it listens; the end without it: it gave up
};

// Starts `executable launcher …` in a session of its own, with nothing of ours open, its errors
// appended to `<data_dir>/launcher/launcher.log`. Not by fork: this process may be large.
[[nodiscard]] absl::StatusOr<LauncherProcess> start_launcher(const LauncherOptions& options);

// Connects to the launcher's socket. UNAVAILABLE where nobody listens.
[[nodiscard]] absl::StatusOr<UniqueFd> connect_to_launcher(const LauncherOptions& options);

}  // namespace clusterd
