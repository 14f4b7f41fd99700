#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

// Number of the signal that `text` names: "TERM", "SIGTERM" (any case) or "15"; RTMIN and above by
// number. nullopt where this system has no such signal.
[[nodiscard]] std::optional<int> signal_number(std::string_view text);

// "TERM" for 15; the number itself where it has no name.
[[nodiscard]] std::string signal_name(int number);

}  // namespace clusterd
