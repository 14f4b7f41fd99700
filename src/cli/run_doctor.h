#pragma once

#include <string>
#include <vector>

#include "cli/finding.h"

namespace clusterd {

struct DoctorCommand {
  std::vector<std::string> config_files;  // empty: those in /etc/clusterd
  bool live = false;                      // only whether the daemon answers and is ready
  bool json = false;
};

// 0: nothing is wrong; 1: there are warnings; 2: there are errors.
[[nodiscard]] int exit_code_of(const Findings& findings);

// Looks, prints what it has found, and returns the process's exit code.
int run(const DoctorCommand& command);

}  // namespace clusterd
