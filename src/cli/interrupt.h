#pragma once

#include <stop_token>
#include <thread>

namespace clusterd {

// Turns the first SIGINT or SIGTERM into a stop request; a second one ends the process with 130.
//
// Made by a command before it starts threads, since they inherit the blocked signals. Its own
// thread waits for them; the destructor ends it.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }
  [[nodiscard]] bool happened() const { return source_.stop_requested(); }

 private:
  void watch();

  std::stop_source source_;
  int signals_;  // signalfd(2)
  int ending_;   // eventfd(2), written by the destructor
  std::thread thread_;
};

}  // namespace clusterd
