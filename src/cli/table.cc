#include "cli/table.h"

#include <algorithm>
#include <numeric>

namespace clusterd {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kNarrowest = 6;  // what is left of a column that is cut

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; }

// At most `columns` characters; what is cut ends in "…".
std::string cut(const std::string& text, size_t columns) {
  if (width_of(text) <= columns) return text;
  size_t at = 0;
  for (size_t count = 0; at < text.size(); ++at) {
    if (continues_character(text[at])) continue;
    if (++count == columns) break;
  }
  return text.substr(0, at) + "…";
}

std::string_view escape_of(Table::Colour colour) {
  switch (colour) {
    case Table::Colour::kGood:
      return "\x1b[32m";
    case Table::Colour::kBad:
      return "\x1b[31m";
    case Table::Colour::kBusy:
      return "\x1b[36m";
    case Table::Colour::kFaint:
      return "\x1b[2m";
    case Table::Colour::kNone:
      break;
  }
  return "";
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  return result;
}

size_t width_of(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

Table::Cell::Cell(std::string_view given, Colour its_colour)
    : text(printable(given)), colour(its_colour) {}

std::vector<size_t> Table::widths(const Terminal& terminal) const {
  std::vector<size_t> widths;
  for (const Row& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i].text));
  }
  if (!terminal.columns || widths.empty()) return widths;
  const size_t gaps = kGap * (widths.size() - 1);
  const size_t total = std::accumulate(widths.begin(), widths.end(), gaps);
  size_t excess = total > *terminal.columns ? total - *terminal.columns : 0;
  while (excess > 0 && widths.size() > 1) {
    const bool last_can = widths.back() > kNarrowest;
    const auto widest = last_can ? std::prev(widths.end())
                                 : std::max_element(std::next(widths.begin()), widths.end());
    if (*widest <= kNarrowest) break;
    const size_t less = std::min(excess, *widest - kNarrowest);
    *widest -= less;
    excess -= less;
  }
  return widths;
}

std::string Table::text(const Terminal& terminal) const {
  const std::vector<size_t> columns = widths(terminal);
  std::string text;
  for (const Row& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string shown = cut(row[i].text, columns[i]);
      const std::string_view escape = terminal.colours ? escape_of(row[i].colour) : "";
      text += escape;
      text += shown;
      if (!escape.empty()) text += "\x1b[0m";
      if (i + 1 < row.size()) text += std::string(columns[i] - width_of(shown) + kGap, ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace clusterd
