#pragma once

#include <string>

#include "core/config.h"

namespace clusterd {

// How the scheduler process was started.
struct SchedulerStart {
  std::string config_file;
  std::string port_file;  // empty: none
};

// Runs the scheduler until SIGTERM or SIGINT and returns the process's exit code. With a port file,
// writes the addresses there once everything listens. SIGHUP: certificates, tokens and the level of
// the log are read again.
int run_scheduler(const SchedulerConfig& config, const SchedulerStart& start);

}  // namespace clusterd
