#pragma once

#include "cli/commands.h"

namespace clusterd {

// Each runs one command against a scheduler and returns the process's exit code.
int run(const JobStartCommand& command);
int run(const JobStopCommand& command);
int run(const JobQueryCommand& command);
int run(const JobWaitCommand& command);
int run(const JobLogsCommand& command);
int run(const JobListCommand& command);
int run(const ClusterStatusCommand& command);
int run(const ClusterWorkersCommand& command);

}  // namespace clusterd
