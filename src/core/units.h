#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace clusterd {

// "64MiB", "1.5GiB", "500kB" or plain bytes "4096". Units: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB.
// INVALID_ARGUMENT: not of this form, or more than 2^63-1 bytes.
[[nodiscard]] absl::StatusOr<uint64_t> parse_size(std::string_view text);

// "15s", "500ms", "5m", "168h", "7d", "1h30m", "1.5s" or "0". Units: ns, us, ms, s, m, h, d.
// INVALID_ARGUMENT: not of this form, negative, or more than 292 years.
[[nodiscard]] absl::StatusOr<std::chrono::nanoseconds> parse_duration(std::string_view text);

// The shortest exact text that the functions above take: "64MiB", "1h30m", "500ms".
[[nodiscard]] std::string format_size(uint64_t bytes);
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace clusterd
