#pragma once

#include <chrono>
#include <vector>

namespace clusterd::bench {

// What of many durations people look at.
struct Percentiles {
  std::chrono::nanoseconds p50{0};
  std::chrono::nanoseconds p90{0};
  std::chrono::nanoseconds p99{0};
  std::chrono::nanoseconds max{0};
};

// Durations of one kind of event, all of them kept. Each thread fills one of its own.
class Latencies {
 public:
  void add(std::chrono::nanoseconds duration) { durations_.push_back(duration); }
  void add(const Latencies& others);
  [[nodiscard]] size_t count() const { return durations_.size(); }
  // By nearest rank: the smallest duration that so many of them do not exceed, so each is one that
  // was measured. Zeros where there is none.
  [[nodiscard]] Percentiles percentiles() const;

 private:
  std::vector<std::chrono::nanoseconds> durations_;
};

}  // namespace clusterd::bench
