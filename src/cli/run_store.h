#pragma once

#include "cli/store_commands.h"

namespace clusterd {

// Each carries out one command on this machine's files and returns the process's exit code.
int run(const StoreExportCommand& command);
int run(const StoreImportCommand& command);
int run(const StoreCheckCommand& command);

}  // namespace clusterd
