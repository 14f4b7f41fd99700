#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Ranges of v1::Limits, both bounds allowed. Below the least no program starts.
inline constexpr uint64_t kLeastMemoryBytes = 1ULL << 20;
inline constexpr uint64_t kMostBytes = (1ULL << 63) - 1;
inline constexpr double kLeastCpus = 0.01;
inline constexpr double kMostCpus = 1'000'000;
inline constexpr uint32_t kMostPids = 4'194'304;  // the kernel's PID_MAX_LIMIT
inline constexpr uint32_t kLeastOpenFiles = 16;
inline constexpr uint32_t kMostOpenFiles = 1'073'741'816;  // the kernel's highest fs.nr_open
inline constexpr int32_t kLeastNice = -20;
inline constexpr int32_t kMostNice = 19;

// INVALID_ARGUMENT about the first of them that is out of its range ("limits.pids").
[[nodiscard]] absl::Status check_limits(const v1::Limits& limits);

// The names of those that are set ("memory_bytes"), in the order of the schema.
[[nodiscard]] std::vector<std::string> names_of(const v1::Limits& limits);
// The names of all that there are.
[[nodiscard]] std::vector<std::string> all_limits();

}  // namespace clusterd
