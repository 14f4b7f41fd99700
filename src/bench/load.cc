#include "bench/load.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

namespace clusterd::bench {
namespace {

using std::chrono::steady_clock;

// One connection with its thread.
struct Line {
  Requester request;
  absl::Status status;
  Latencies latencies;
};

void drive(Line& line, std::atomic<uint64_t>& next, uint64_t count, std::atomic<bool>& is_over,
           const std::stop_token& stop) {
  while (!is_over.load(std::memory_order_relaxed)) {
    const uint64_t index = next.fetch_add(1, std::memory_order_relaxed);
    if (index >= count) return;
    const auto begin = steady_clock::now();
    line.status = line.request(index);
    line.latencies.add(steady_clock::now() - begin);
    if (line.status.ok() && stop.stop_requested())
      line.status = absl::CancelledError("interrupted");
    if (!line.status.ok()) is_over = true;
  }
}

}  // namespace

absl::StatusOr<LoadResult> run_load(uint32_t connections, uint64_t count, const MakeRequester& make,
                                    const std::stop_token& stop) {
  std::vector<Line> lines(std::min<uint64_t>(connections, count));
  for (Line& line : lines) {
    auto request = make();
    if (!request.ok()) return request.status();
    line.request = *std::move(request);
  }
  std::atomic<uint64_t> next = 0;
  std::atomic<bool> is_over = false;
  std::latch ready(static_cast<std::ptrdiff_t>(lines.size()) + 1);
  steady_clock::time_point begin;
  {
    std::vector<std::jthread> threads;
    for (Line& line : lines) {
      threads.emplace_back([&line, &next, count, &is_over, &stop, &ready] {
        ready.arrive_and_wait();
        drive(line, next, count, is_over, stop);
      });
    }
    begin = steady_clock::now();
    ready.arrive_and_wait();
  }
  LoadResult result{.begin = begin, .duration = steady_clock::now() - begin, .latencies = {}};
  for (const Line& line : lines) {
    if (!line.status.ok()) return line.status;
    result.latencies.add(line.latencies);
  }
  return result;
}

}  // namespace clusterd::bench
