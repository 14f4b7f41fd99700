#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace clusterd {

// The file mode creation mask that `text` means: one to four octal digits, at most 0777. nullopt
// where it is none.
[[nodiscard]] std::optional<uint32_t> parse_umask(std::string_view text);

}  // namespace clusterd
