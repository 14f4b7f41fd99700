#pragma once

#include "cli/commands.h"

namespace clusterd {

// Runs a scheduler and a worker as children on loopback until SIGINT or SIGTERM, then stops both
// and every job, and removes what they kept. Returns the exit code: 0 after such a signal, else
// an error that has been printed.
int run(const DevCommand& command);

}  // namespace clusterd
