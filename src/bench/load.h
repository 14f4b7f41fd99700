#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/latencies.h"

namespace clusterd::bench {

// Makes the request of that index on a connection of its own, waits for the answer and checks it.
using Requester = std::function<absl::Status(uint64_t index)>;
// Makes the requester of one thread, connected.
using MakeRequester = std::function<absl::StatusOr<Requester>()>;

// What a load took.
struct LoadResult {
  std::chrono::steady_clock::time_point begin;  // of the first request
  std::chrono::nanoseconds duration{0};         // to the last answer
  Latencies latencies;                          // of each request
};

// `count` requests over `connections` connections, each of which has one under way at all times.
// Connecting is not measured. Ends with the first error, CANCELLED by `stop`.
[[nodiscard]] absl::StatusOr<LoadResult> run_load(uint32_t connections, uint64_t count,
                                                  const MakeRequester& make,
                                                  const std::stop_token& stop);

}  // namespace clusterd::bench
