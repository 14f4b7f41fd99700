#pragma once

#include "cli/commands.h"

namespace clusterd {

// Each runs one command against a scheduler and returns the process's exit code.
int run(const ScheduleCreateCommand& command);
int run(const ScheduleListCommand& command);
int run(const ScheduleShowCommand& command);
int run(const SchedulePauseCommand& command);
int run(const ScheduleResumeCommand& command);
int run(const ScheduleDeleteCommand& command);
int run(const ScheduleTriggerCommand& command);

}  // namespace clusterd
