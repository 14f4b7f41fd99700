#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_families.h"

namespace clusterd {

void add_doctor_command(CLI::App& app, Chosen& chosen) {
  CLI::App& doctor = *app.add_subcommand(
      "doctor",
      "Look for what is wrong with a daemon's configuration, files, machine and network.");
  auto command = std::make_shared<DoctorCommand>();  // shared by the options and the callback
  doctor.callback([command, &chosen] { chosen = *command; });
  doctor
      .add_option("--config", command->config_files,
                  "Configuration of a scheduler or a worker (repeatable) [those in /etc/clusterd]")
      ->type_name("FILE")
      ->allow_extra_args(false);
  doctor.add_flag("--live", command->live,
                  "Ask only whether the daemon answers and is ready; for health checks");
  doctor.add_flag("--json", command->json, "Print one JSON document");
}

}  // namespace clusterd
