#include "cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <string>

namespace clusterd {
namespace {

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

// A terminal of our own.
struct PseudoTerminal {
  PseudoTerminal() : file(::posix_openpt(O_RDWR | O_NOCTTY)) {}
  ~PseudoTerminal() { ::close(file); }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;
  int file;
};

TEST_CASE("a pipe is no terminal", "[terminal]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);

  const Terminal terminal = terminal_of(ends[1], environment({{"COLUMNS", "100"}}));

  CHECK_FALSE(terminal.columns);
  CHECK_FALSE(terminal.colours);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a terminal has columns and colours, unless NO_COLOR is set", "[terminal]") {
  const PseudoTerminal pty;
  REQUIRE(pty.file >= 0);

  CHECK(terminal_of(pty.file, environment({})).columns == 80U);
  CHECK(terminal_of(pty.file, environment({{"COLUMNS", "132"}})).columns == 132U);
  CHECK(terminal_of(pty.file, environment({})).colours);
  CHECK(terminal_of(pty.file, environment({{"NO_COLOR", ""}})).colours);
  CHECK_FALSE(terminal_of(pty.file, environment({{"NO_COLOR", "1"}})).colours);
  CHECK_FALSE(terminal_of(pty.file, environment({{"TERM", "dumb"}})).colours);
}

}  // namespace
}  // namespace clusterd
