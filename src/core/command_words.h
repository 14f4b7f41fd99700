#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace clusterd {

// A command line as words. White space parts them; 'text' is taken as it is, "text" may have \" and
// \\, a backslash elsewhere takes the next character as it is. Nothing is expanded and no shell is
// asked. INVALID_ARGUMENT: a quote that is not closed, or a backslash at the end. Any thread.
[[nodiscard]] absl::StatusOr<std::vector<std::string>> split_words(std::string_view line);

// The line that split_words() takes apart into these words.
[[nodiscard]] std::string join_words(const std::vector<std::string>& words);

}  // namespace clusterd
