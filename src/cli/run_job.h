#pragma once

#include "cli/commands.h"

namespace clusterd {

// Each runs one command against a scheduler and returns the process's exit code.
int run(const RunCommand& command);
int run(const JobStartCommand& command);
int run(const JobStopCommand& command);
int run(const JobQueryCommand& command);
int run(const JobWaitCommand& command);
int run(const JobLogsCommand& command);
int run(const JobListCommand& command);
int run(const JobTasksCommand& command);
int run(const JobExplainCommand& command);
int run(const JobSignalCommand& command);
int run(const JobRetryCommand& command);
int run(const JobDeleteCommand& command);

}  // namespace clusterd
