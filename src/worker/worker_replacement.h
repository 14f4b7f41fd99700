#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "worker/inheritance.h"
#include "worker/launcher_connection.h"

namespace clusterd {

// How the worker process was started, to be started so again.
struct WorkerStart {
  std::string config_file;
  std::string port_file;  // empty: none
};

// What the executable that this process ran before has left to it; absent: there was none. Before
// any other thread: it looks at the environment.
[[nodiscard]] std::optional<Inherited> take_worker_inheritance();

// OK: `executable` can be run with that configuration as it is on the disk now. Blocks for a
// moment; standard error has the details.
[[nodiscard]] absl::Status check_replacement(const std::string& executable,
                                             const WorkerStart& start);

// Becomes `executable`: the same process, with the lock of the data_dir and what is held of running
// jobs, its configuration read anew. Returns where that failed.
[[nodiscard]] absl::Status replace_worker(const std::string& executable, const WorkerStart& start,
                                          const UniqueFd& lock, LauncherConnection& launcher);

}  // namespace clusterd
