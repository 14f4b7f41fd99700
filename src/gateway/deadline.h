#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

#include "gateway/connection.h"

namespace clusterd::gateway {

// Bounds the time that a connection's reads and writes take: when it passes, what runs on the
// connection is cancelled. Owned by the connection's HttpSession, which outlives it by contract;
// on its strand only.
class Deadline {
 public:
  Deadline(const asio::any_io_executor& strand, Connection& connection);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // From now on; replaces the one before.
  void set(std::chrono::nanoseconds timeout);
  void clear();
  // No deadline any more, for good: what is left of it may then go on any thread.
  void end();
  // It has passed since the last set().
  [[nodiscard]] bool passed() const { return state_->passed; }

 private:
  // Shared by this object and the handler of the timer that may still be queued when this ends.
  struct State {
    State(const asio::any_io_executor& strand, Connection& its_connection)
        : timer(strand), connection(&its_connection) {}
    asio::steady_timer timer;
    Connection* connection;  // null once the owner has ended
    std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
    bool armed = false;
    bool passed = false;
  };
  static void arm(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
};

}  // namespace clusterd::gateway
