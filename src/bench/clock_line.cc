#include "bench/clock_line.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace clusterd::bench {

absl::StatusOr<std::chrono::nanoseconds> parse_clock_line(const std::string& line) {
  constexpr size_t kDigits = 6;
  const size_t point = line.find_first_of(".,");
  int64_t seconds = 0;
  int64_t microseconds = 0;
  const bool is_good = point != std::string::npos && line.size() == point + 1 + kDigits &&
                       absl::ascii_isdigit(static_cast<unsigned char>(line.front())) &&
                       absl::ascii_isdigit(static_cast<unsigned char>(line[point + 1])) &&
                       absl::SimpleAtoi(line.substr(0, point), &seconds) &&
                       absl::SimpleAtoi(line.substr(point + 1), &microseconds);
  if (!is_good) return absl::DataLossError("\"" + line + "\" is no clock's line");
  return std::chrono::seconds(seconds) + std::chrono::microseconds(microseconds);
}

}  // namespace clusterd::bench
