#include "bench/latencies.h"

#include <algorithm>

namespace clusterd::bench {

void Latencies::add(const Latencies& others) {
  durations_.insert(durations_.end(), others.durations_.begin(), others.durations_.end());
}

Percentiles Latencies::percentiles() const {
  if (durations_.empty()) return {};
  std::vector<std::chrono::nanoseconds> sorted = durations_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&sorted](size_t percent) {
    const size_t rank = (sorted.size() * percent + 99) / 100;  // from 1 on
    return sorted[rank - 1];
  };
  return {.p50 = at(50), .p90 = at(90), .p99 = at(99), .max = sorted.back()};
}

}  // namespace clusterd::bench
