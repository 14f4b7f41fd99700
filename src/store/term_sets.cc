#include "store/term_sets.h"

#include <algorithm>

namespace clusterd {

void TermSets::add(const Term& term, uint64_t seq) { sets_[term].insert(seq); }

void TermSets::remove(const Term& term, uint64_t seq) {
  const auto set = sets_.find(term);
  if (set == sets_.end()) return;
  set->second.erase(seq);
  if (set->second.empty()) sets_.erase(set);
}

std::optional<uint64_t> TermSets::at_most(const AnyOf& terms, uint64_t most) const {
  std::optional<uint64_t> highest;
  for (const Term& term : terms) {
    const auto set = sets_.find(term);
    if (set == sets_.end()) continue;
    const auto seq = set->second.lower_bound(most);
    if (seq != set->second.end()) highest = std::max(highest, std::optional(*seq));
  }
  return highest;
}

// The condition that is ahead waits, and the others go there at once.
bool TermSets::meet(const std::vector<AnyOf>& conditions, uint64_t& most, size_t& looks) const {
  size_t agreed = 0;
  for (size_t i = 0; agreed < conditions.size() && looks > 0; i = (i + 1) % conditions.size()) {
    --looks;
    const auto seq = at_most(conditions[i], most);
    if (!seq) return false;
    agreed = *seq == most ? agreed + 1 : 1;
    most = *seq;
  }
  return true;
}

}  // namespace clusterd
