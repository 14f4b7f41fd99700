#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace clusterd {

// Starts this same executable with `arguments` in a process group of its own, so that a Ctrl-C in
// the terminal reaches us alone; it gets SIGTERM when we die. Call it before there are threads.
[[nodiscard]] absl::StatusOr<pid_t> start_self(const std::vector<std::string>& arguments);

// A child that ended: which one, and the status as wait(2) gives it.
struct EndedChild {
  pid_t pid;
  int status;
};

// One child that has ended, without waiting for one.
[[nodiscard]] std::optional<EndedChild> reap_child();

// "exit code 70" or "signal SEGV".
[[nodiscard]] std::string describe_wait_status(int status);

}  // namespace clusterd
