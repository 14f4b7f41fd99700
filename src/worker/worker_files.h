#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "worker/unique_fd.h"

namespace clusterd {

// Files of the worker itself in its data_dir:
//   worker.lock   held (flock) while a worker process uses the folder
//   identity.pb   the last RegisterWorkerResponse: id, secret, name, and the highest epoch seen
//   worker.state  what the worker process says of itself, for commands on this machine
//   output/<job>/<attempt>/end.pb   a HeldAttempt, for readers of an attempt that was forgotten
// All functions block on the disk: not for the core thread.

// Makes the folder and its parents with mode 0700. The status names path and cause.
[[nodiscard]] absl::Status make_folder(const std::string& path);

// FAILED_PRECONDITION: another worker process uses `data_dir`. The descriptor holds the lock.
[[nodiscard]] absl::StatusOr<UniqueFd> lock_data_dir(const std::string& data_dir);
// True if `lock` is the open lock file of `data_dir`.
[[nodiscard]] bool is_lock_of(const UniqueFd& lock, const std::string& data_dir);

// What the worker process of a data_dir last said of itself.
struct WorkerState {
  pid_t pid = 0;
  uint64_t serial = 0;  // another one each time
  std::string error;    // why it could not replace itself; empty: it has started, and serves
};
// Says it of this process.
[[nodiscard]] absl::Status write_state(const std::string& data_dir, const std::string& error);
// NOT_FOUND: none has started there. DATA_LOSS: the file is damaged.
[[nodiscard]] absl::StatusOr<WorkerState> read_state(const std::string& data_dir);

// Empty before the first registration. DATA_LOSS: the file is damaged.
[[nodiscard]] absl::StatusOr<v1::RegisterWorkerResponse> read_identity(const std::string& data_dir);
// On the disk when it returns OK; else the earlier file stays.
[[nodiscard]] absl::Status write_identity(const std::string& data_dir,
                                          const v1::RegisterWorkerResponse& identity);

// Beside the attempt's output; no folder is made for it.
[[nodiscard]] absl::Status write_end(const std::string& folder, const v1::HeldAttempt& attempt);
// nullopt where there is none; DATA_LOSS: the file is damaged.
[[nodiscard]] absl::StatusOr<std::optional<v1::HeldAttempt>> read_end(const std::string& folder);

}  // namespace clusterd
