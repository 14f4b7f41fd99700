#pragma once

namespace clusterd {

// The hidden subcommand `clusterd launcher --data-dir DIR --runtime-dir DIR [--ready-fd N]`: the
// process that starts a worker's jobs and outlives the worker. `argv` begins with "launcher".
//
// To be called first in main, before anything starts a thread. Writes one byte to the descriptor N
// when it listens. Returns the exit code: 0 when nothing is left to do, 75 when another launcher
// serves the folder, 64 for bad arguments, 70 for anything else.
int run_launcher(int argc, char** argv);

}  // namespace clusterd
