#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"

namespace clusterd {

// Rows of text in columns as wide as their widest entry, two spaces between. On a terminal no line
// is longer than it is wide: the last column is cut first, then the widest ones, the first never.
// Built and printed on one thread.
class Table {
 public:
  enum class Colour { kNone, kGood, kBad, kBusy, kFaint };
  struct Cell {
    // Text from others is shown with `printable`.
    Cell(std::string_view text,
         Colour colour = Colour::kNone);  // NOLINT(google-explicit-constructor)
    Cell(const std::string& given)
        : Cell(std::string_view(given)) {}  // NOLINT(google-explicit-constructor)
    Cell(const char* given)
        : Cell(std::string_view(given)) {}  // NOLINT(google-explicit-constructor)
    std::string text;
    Colour colour;
  };
  using Row = std::vector<Cell>;

  void add(Row row) { rows_.push_back(std::move(row)); }
  // Each line ends in a newline.
  [[nodiscard]] std::string text(const Terminal& terminal) const;

 private:
  [[nodiscard]] std::vector<size_t> widths(const Terminal& terminal) const;

  std::vector<Row> rows_;
};

// Text in which nothing steers a terminal: each control character becomes '?'.
[[nodiscard]] std::string printable(std::string_view text);

// Columns that UTF-8 text takes, one for each character.
[[nodiscard]] size_t width_of(std::string_view text);

}  // namespace clusterd
