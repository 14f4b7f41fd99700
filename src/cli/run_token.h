#pragma once

#include "cli/commands.h"

namespace clusterd {

// Each changes or shows a tokens file and returns the process's exit code. A scheduler that uses
// the file sees a change by itself.
int run(const TokenCreateCommand& command);
int run(const TokenListCommand& command);
int run(const TokenRevokeCommand& command);

}  // namespace clusterd
