#include "cli/near_word.h"

#include <algorithm>

namespace clusterd {
namespace {

constexpr size_t kMostEdits = 2;

// Letters added, left out, changed, or swapped with their neighbour, that lead from `a` to `b`.
size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> edits(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        edits[i][j] = i + j;
        continue;
      }
      const size_t changed = edits[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      edits[i][j] = std::min({changed, edits[i - 1][j] + 1, edits[i][j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) edits[i][j] = std::min(edits[i][j], edits[i - 2][j - 2] + 1);
    }
  }
  return edits[a.size()][b.size()];
}

}  // namespace

std::optional<std::string> near_word(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> nearest;
  size_t least = kMostEdits + 1;
  for (const std::string& candidate : known) {
    const size_t longer = std::max(word.size(), candidate.size());
    if (longer > candidate.size() + kMostEdits) continue;
    const size_t edits = edits_between(word, candidate);
    if (edits >= least || 2 * edits >= longer) continue;
    least = edits;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace clusterd
