#pragma once

#include <csignal>
#include <initializer_list>

namespace clusterd {

// SIGTERM and SIGINT, and more that are named, as something to wait for. Made on the main thread
// before any other thread exists, so that all inherit the blocked mask; SIGPIPE is ignored from
// then on.
class StopSignals {
 public:
  StopSignals(std::initializer_list<int> more = {});  // NOLINT: implicit, for none
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The number of the first of them that comes.
  [[nodiscard]] int wait() const;

 private:
  sigset_t set_;
};

}  // namespace clusterd
