#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace CLI {
class App;
}

namespace clusterd {

// The choice that parsing made; set by the subcommand that was found.
using Chosen = std::optional<Command>;

// Each adds one family of subcommands to `app`. Both references must live until the parse is over.
void add_daemon_commands(CLI::App& app, Chosen& chosen);
void add_job_commands(CLI::App& app, Chosen& chosen);
void add_run_command(CLI::App& app, Chosen& chosen);
void add_cluster_commands(CLI::App& app, Chosen& chosen);
void add_queue_commands(CLI::App& app, Chosen& chosen);
void add_schedule_commands(CLI::App& app, Chosen& chosen);
void add_token_commands(CLI::App& app, Chosen& chosen);
void add_tls_commands(CLI::App& app, Chosen& chosen);
void add_store_commands(CLI::App& app, Chosen& chosen);
void add_doctor_command(CLI::App& app, Chosen& chosen);
void add_bench_command(CLI::App& app, Chosen& chosen);

// All families, and --version.
void add_all_commands(CLI::App& app, Chosen& chosen);

// What describes a job in `job start`, its script or program included. `command` must live as long
// as `app`.
void add_job_options(CLI::App& app, JobStartCommand& command);

// The options of `job start` that are about the queue.
void add_queue_options(CLI::App& app, QueueFlags& flags);

// Those that are about its output.
void add_output_options(CLI::App& app, OutputFlags& flags);

// The options by which a scheduler is found.
void add_client_options(CLI::App& app, ClientFlags& flags);

// Takes the script or program of `job start`, `run` or `schedule create` and everything after it
// off `arguments`, since options of theirs are none of ours. Empty for other commands. `app` knows
// which options of the command take a value.
[[nodiscard]] std::vector<std::string> take_target(const CLI::App& app,
                                                   std::vector<std::string>& arguments);

// Fills the target of a `job start` from what take_target took. INVALID_ARGUMENT: nothing there.
[[nodiscard]] absl::Status set_target(JobStartCommand& command, std::vector<std::string> words);

}  // namespace clusterd
