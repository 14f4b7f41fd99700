#pragma once

#include <sys/types.h>

#include <vector>

#include "worker/unique_fd.h"

namespace clusterd {

// The children of the thread that made this (/proc/PID/task/TID/children, see proc(5)). Any thread.
class ThreadChildren {
 public:
  ThreadChildren();

  // False on a kernel that does not tell.
  [[nodiscard]] bool is_known() const { return file_.valid(); }
  // Some may be missing while others come or go.
  [[nodiscard]] std::vector<pid_t> read() const;

 private:
  UniqueFd file_;
};

}  // namespace clusterd
