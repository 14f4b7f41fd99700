#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <string>

namespace clusterd {
namespace {

constexpr size_t kUsualColumns = 80;
constexpr size_t kFewestColumns = 20;

size_t columns_of(int file, const Environment& environment) {
  size_t columns = 0;
  if (const auto text = environment("COLUMNS")) {
    (void)std::from_chars(text->data(), text->data() + text->size(), columns);
  }
  winsize size{};
  if (columns == 0 && ::ioctl(file, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  if (columns == 0) columns = kUsualColumns;
  return columns < kFewestColumns ? kFewestColumns : columns;
}

}  // namespace

Terminal terminal_of(int file, const Environment& environment) {
  if (::isatty(file) == 0) return {};
  const bool is_plain =
      !environment("NO_COLOR").value_or("").empty() || environment("TERM").value_or("") == "dumb";
  return {.columns = columns_of(file, environment), .colours = !is_plain};
}

}  // namespace clusterd
