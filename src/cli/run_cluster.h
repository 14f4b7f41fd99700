#pragma once

#include "cli/commands.h"

namespace clusterd {

// Each runs one command against a scheduler and returns the process's exit code.
int run(const ClusterStatusCommand& command);
int run(const ClusterWorkersCommand& command);
int run(const ClusterScriptsCommand& command);
int run(const ClusterDrainCommand& command);
int run(const ClusterResumeCommand& command);
int run(const ClusterRemoveCommand& command);
int run(const ClusterEventsCommand& command);

}  // namespace clusterd
