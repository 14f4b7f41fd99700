#pragma once

#include "cli/commands.h"

namespace clusterd {

// Measures and prints what it found; the process's exit code.
int run(const BenchCommand& command);

}  // namespace clusterd
