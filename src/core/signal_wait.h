#pragma once

#include <csignal>

namespace clusterd {

// SIGTERM and SIGINT as something to wait for. Made on the main thread before any other thread
// exists, so that all inherit the blocked mask; SIGPIPE is ignored from then on.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The number of the first of them that comes.
  [[nodiscard]] int wait() const;

 private:
  sigset_t set_;
};

}  // namespace clusterd
