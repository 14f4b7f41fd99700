#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace clusterd {

// One page of the manual, section 1, in the macros of man(7).
struct ManualPage {
  std::string file;  // "clusterd-job-start.1"
  std::string text;
};

// A page for the program, for each family of commands and for each command, all from the tree that
// parses command lines, so that they say what --help says. `date`: as "2026-01-31".
[[nodiscard]] std::vector<ManualPage> manual_pages(const CLI::App& app, const std::string& date);

// Text in which roff sees nothing of its own; ASCII alone.
[[nodiscard]] std::string roff_escaped(const std::string& text);

}  // namespace clusterd
