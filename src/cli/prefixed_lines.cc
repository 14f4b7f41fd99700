#include "cli/prefixed_lines.h"

#include <algorithm>
#include <utility>

#include "cli/print.h"

namespace clusterd {

absl::Status SharedOutput::write(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  return write_stdout(lines);
}

PrefixedLines::PrefixedLines(SharedOutput& output, std::string prefix)
    : output_(output), prefix_(std::move(prefix)) {}

absl::Status PrefixedLines::write(std::string_view bytes) {
  std::string lines;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const size_t room = kLongestLine - line_.size();
    const bool is_whole = end != std::string_view::npos && end < room;
    const size_t size = is_whole ? end : std::min(bytes.size(), room);
    line_ += bytes.substr(0, size);
    bytes.remove_prefix(is_whole ? size + 1 : size);
    if (is_whole || line_.size() == kLongestLine)
      lines += prefix_ + std::exchange(line_, {}) + "\n";
  }
  return lines.empty() ? absl::OkStatus() : output_.write(lines);
}

absl::Status PrefixedLines::finish() {
  if (line_.empty()) return absl::OkStatus();
  return output_.write(prefix_ + std::exchange(line_, {}) + "\n");
}

}  // namespace clusterd
