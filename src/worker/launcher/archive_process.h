#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/launcher/spawn.h"
#include "worker/unique_fd.h"

namespace clusterd {

// The command that an attempt's logs are given to after its end.
struct ArchiveOrder {
  uint64_t handle = 0;
  std::string command;                   // absolute
  std::vector<std::string> logs;         // absolute
  std::vector<std::string> environment;  // "NAME=value"
};

// One that runs, in a session of its own.
struct ArchiveProcess {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  UniqueFd pidfd;
  UniqueFd errors;  // what it writes to standard error; not blocking
};

// What became of an order.
struct ArchiveStarted {
  uint64_t handle = 0;
  absl::StatusOr<ArchiveProcess> process;  // not OK: it did not start, and why in words
};

// Starts it, as the launcher's own user. Its standard input is empty, its standard output goes
// nowhere, and of its standard error as much is kept as a pipe takes. Blocks: on spawn threads
// only.
[[nodiscard]] ArchiveStarted start_archive(const ArchiveOrder& order,
                                           const ChildBaseline& baseline);

// The paths of the logs that an attempt has in `folder`.
[[nodiscard]] std::vector<std::string> existing_logs(const std::string& folder,
                                                     const internal::JournalIntent& intent);

// The end of what it has written to standard error, valid UTF-8, on one line.
[[nodiscard]] std::string read_archive_errors(int errors);

}  // namespace clusterd
