#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace clusterd {

// Standard output, shared by threads that write whole lines. Owned by the command.
class SharedOutput {
 public:
  // As write_stdout(), one call after the other.
  [[nodiscard]] absl::Status write(std::string_view lines);

 private:
  std::mutex mutex_;  // held while it is written
};

// Puts a prefix before each line of one task's output. A line that is longer than kLongestLine is
// cut in two. One thread.
class PrefixedLines {
 public:
  // `output` outlives this.
  PrefixedLines(SharedOutput& output, std::string prefix);

  [[nodiscard]] absl::Status write(std::string_view bytes);
  // What is left without a newline.
  [[nodiscard]] absl::Status finish();

  static constexpr size_t kLongestLine = 64 << 10;

 private:
  SharedOutput& output_;
  const std::string prefix_;
  std::string line_;  // begun, without its end
};

}  // namespace clusterd
