#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/commands.h"

namespace clusterd {

// What `arguments` (without the program's name) ask for. INVALID_ARGUMENT: names the option or
// argument that is wrong or missing.
[[nodiscard]] absl::StatusOr<Command> parse_command_line(std::vector<std::string> arguments);

}  // namespace clusterd
