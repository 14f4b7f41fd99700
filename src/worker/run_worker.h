#pragma once

#include "core/config.h"
#include "worker/worker_replacement.h"

namespace clusterd {

// Runs the worker until SIGTERM or SIGINT and returns the process's exit code. With a port file,
// writes the address there once it listens. SIGUSR1: the same, and
// its jobs are stopped; SIGQUIT: they are waited for. SIGUSR2: it replaces itself in place, by its
// executable and configuration as they are on the disk then.
int run_worker(const WorkerConfig& config, const WorkerStart& start);

}  // namespace clusterd
