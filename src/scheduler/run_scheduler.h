#pragma once

#include <string>

#include "core/config.h"

namespace clusterd {

// Runs the scheduler until SIGTERM or SIGINT and returns the process's exit code. With
// `port_file`, writes the addresses there once everything listens.
int run_scheduler(const SchedulerConfig& config, const std::string& port_file);

}  // namespace clusterd
