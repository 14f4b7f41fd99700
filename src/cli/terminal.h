#pragma once

#include <cstddef>
#include <optional>

#include "client/client_settings.h"

namespace clusterd {

// What is known of where a command's output goes. Any thread.
struct Terminal {
  std::optional<size_t> columns;  // absent: no terminal, so nothing is cut
  bool colours = false;
};

// Of a file descriptor: a terminal has columns (as `COLUMNS` or the terminal says, else 80), and
// colours unless `NO_COLOR` is set to anything (no-color.org) or `TERM` is `dumb`.
[[nodiscard]] Terminal terminal_of(int file, const Environment& environment);

}  // namespace clusterd
