#pragma once

#include <string_view>

namespace clusterd {

// The script that makes a shell ask `clusterd __complete` what may follow; the same for every tree
// of commands. `shell`: bash, zsh or fish; empty for any other. Static storage.
[[nodiscard]] std::string_view completion_script(std::string_view shell);

}  // namespace clusterd
