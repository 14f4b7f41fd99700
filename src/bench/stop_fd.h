#pragma once

#include <functional>
#include <optional>
#include <stop_token>

namespace clusterd::bench {

// A stop request as a descriptor, for threads that wait in poll(2).
//
// Owned by whoever runs the measurements, and outlives them. Any thread.
class StopFd {
 public:
  explicit StopFd(std::stop_token token);
  ~StopFd();
  StopFd(const StopFd&) = delete;
  StopFd& operator=(const StopFd&) = delete;

  // Readable from the request on.
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const std::stop_token& token() const { return token_; }

 private:
  const int fd_;  // eventfd(2)
  const std::stop_token token_;
  std::optional<std::stop_callback<std::function<void()>>> callback_;
};

}  // namespace clusterd::bench
