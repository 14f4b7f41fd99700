#pragma once

#include <string>
#include <vector>

#include "cli/completion.h"
#include "cli/manual_pages.h"

namespace clusterd {

// What the command lines about command lines ask for; see commands.h.

// Prints the script that a shell needs.
struct CompletionCommand {
  std::string shell;
};

// What such a script calls.
struct CompleteCommand {
  Completion completion;
};

// Writes the manual's pages.
struct ManualCommand {
  std::string dir;
  std::vector<ManualPage> pages;
};

int run(const CompletionCommand& command);
int run(const CompleteCommand& command);
int run(const ManualCommand& command);

}  // namespace clusterd
