#pragma once

#include <chrono>
#include <random>
#include <stop_token>

namespace clusterd {

// Pauses between attempts to reach somebody: 50 ms, then doubled up to 2 s, each with jitter; and
// the time since it last worked. One thread.
class Backoff {
 public:
  Backoff();

  // Something worked: begin anew.
  void reset();
  // Sleeps until the next attempt is due; returns at once when a stop is requested.
  void pause(const std::stop_token& stop);
  // How long nothing has worked.
  [[nodiscard]] std::chrono::nanoseconds elapsed() const;

 private:
  std::minstd_rand random_;
  std::chrono::milliseconds next_;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace clusterd
