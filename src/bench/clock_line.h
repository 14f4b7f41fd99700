#pragma once

#include <chrono>
#include <string>

#include "absl/status/statusor.h"

namespace clusterd::bench {

// "1764175744.123456", as bash writes $EPOCHREALTIME, with a point or the locale's comma: the time
// since 1970. DATA_LOSS: not of this form.
[[nodiscard]] absl::StatusOr<std::chrono::nanoseconds> parse_clock_line(const std::string& line);

}  // namespace clusterd::bench
