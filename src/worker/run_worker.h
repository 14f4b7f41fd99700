#pragma once

#include <string>

#include "core/config.h"

namespace clusterd {

// Runs the worker until SIGTERM or SIGINT and returns the process's exit code. With `port_file`,
// writes the address there once it listens.
int run_worker(const WorkerConfig& config, const std::string& port_file);

}  // namespace clusterd
