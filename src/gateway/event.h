#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace clusterd::gateway {

// Wakes one coroutine. Used on one strand only; owned by what the coroutine waits for.
class Event {
 public:
  explicit Event(const boost::asio::any_io_executor& strand) : timer_(strand) {}

  void notify();
  void clear() { set_ = false; }
  [[nodiscard]] bool is_set() const { return set_; }

  // Returns when notify() has been called since the last clear(), or at `until`.
  boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point until);
  boost::asio::awaitable<void> wait();

 private:
  boost::asio::steady_timer timer_;
  bool set_ = false;
};

}  // namespace clusterd::gateway
