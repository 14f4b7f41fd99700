#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/unique_fd.h"

namespace clusterd {

// What /proc/<pid>/stat says of a process.
struct ProcessStat {
  char state = '?';  // 'Z': ended, not yet reaped
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  uint64_t start_ticks = 0;  // since boot; together with pid and boot id it names the process
  uint64_t threads = 1;      // of a 'Z': more than 1 where only its first thread has ended
  int wait_status = 0;       // of a zombie, where the kernel lets us see it; else 0

  [[nodiscard]] bool is_alive() const {
    return (state != 'Z' || threads > 1) && state != 'X' && state != 'x';
  }
};

// Parses the text of /proc/<pid>/stat. Async-signal-safe.
[[nodiscard]] bool parse_process_stat(std::string_view text, ProcessStat* stat);

// Absent if there is no such process.
[[nodiscard]] std::optional<ProcessStat> read_process_stat(pid_t pid);

// True if a wait status read from /proc is to be believed: the kernel shows 0 to those who may not
// trace the process.
[[nodiscard]] bool may_see_wait_status(pid_t pid);

// pidfd_open(2); invalid if there is no such process.
[[nodiscard]] UniqueFd open_pidfd(pid_t pid);

// True if the signal was delivered, which to a zombie it is too.
bool signal_by_pidfd(int pidfd, int signal);

// Wait status of a process that somebody has reaped (PIDFD_GET_INFO, Linux 6.15). Absent while it
// lives or is a zombie, and on older kernels.
[[nodiscard]] std::optional<int> reaped_wait_status(int pidfd);

// What names this boot of the machine.
[[nodiscard]] std::string read_boot_id();

}  // namespace clusterd
