#pragma once

#include "core/config.h"
#include "worker/worker_replacement.h"

namespace clusterd {

// Set in the environment of a worker that is run by the first process of a container.
inline constexpr char kFirstProcessVariable[] = "CLUSTERD_IN_CONTAINER";

// For process 1, the first of a container: becomes the launcher, which runs the worker as a child
// and starts it again when it ends. As process 1 it outlives the worker, and reaps what falls to
// it. Returns where that failed: the process's exit code.
int run_first_process(const WorkerConfig& config, const WorkerStart& start);

}  // namespace clusterd
