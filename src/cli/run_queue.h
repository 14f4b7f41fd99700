#pragma once

#include "cli/commands.h"

namespace clusterd {

// Each runs one command against a scheduler and returns the process's exit code.
int run(const QueueListCommand& command);
int run(const QueueShowCommand& command);
int run(const QueueSetCommand& command);
int run(const QueuePauseCommand& command);
int run(const QueueResumeCommand& command);
int run(const QueueDeleteCommand& command);

}  // namespace clusterd
