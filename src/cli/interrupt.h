#pragma once

#include <cstddef>
#include <stop_token>
#include <thread>
#include <vector>

namespace clusterd {

// Turns SIGINT and SIGTERM into stop requests, one a stage: the first signal stops stage 0, the
// next one stage 1. One more than there are stages ends the process with 130.
//
// Made by a command before it starts threads, since they inherit the blocked signals. Its own
// thread waits for them; the destructor ends it.
class Interrupt {
 public:
  explicit Interrupt(size_t stages = 1);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // `stage` is at most the number of stages; that one is never stopped.
  [[nodiscard]] std::stop_token token(size_t stage = 0) const;
  [[nodiscard]] bool happened(size_t stage = 0) const { return token(stage).stop_requested(); }

 private:
  void watch();

  std::vector<std::stop_source> stages_;
  int signals_;  // signalfd(2)
  int ending_;   // eventfd(2), written by the destructor
  std::thread thread_;
};

}  // namespace clusterd
