#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

namespace clusterd::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// How long each of many operations took. Owned by one thread at a time; threads merge theirs.
class Timings {
 public:
  void add(double seconds) { milliseconds_.push_back(seconds * 1e3); }

  void merge(const Timings& other) {
    milliseconds_.insert(milliseconds_.end(), other.milliseconds_.begin(),
                         other.milliseconds_.end());
  }

  [[nodiscard]] bool empty() const { return milliseconds_.empty(); }

  // `"latency_ms":{…}` of a line of JSON. At least one operation was added.
  void print() {
    std::sort(milliseconds_.begin(), milliseconds_.end());
    std::printf(R"("latency_ms":{"p50":%.4f,"p90":%.4f,"p99":%.4f,"max":%.4f})", share(0.50),
                share(0.90), share(0.99), milliseconds_.back());
  }

 private:
  // What this share of the operations did not exceed.
  [[nodiscard]] double share(double part) const {
    const double rank = std::ceil(part * static_cast<double>(milliseconds_.size()));
    return milliseconds_[static_cast<size_t>(std::max(rank, 1.0)) - 1];
  }

  std::vector<double> milliseconds_;
};

}  // namespace clusterd::bench
