#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// The one of `known` that `word` was likely meant to be: at most two letters added, left out,
// changed or swapped, and fewer than half of them. Nothing where none is that near.
[[nodiscard]] std::optional<std::string> near_word(std::string_view word,
                                                   const std::vector<std::string>& known);

}  // namespace clusterd
