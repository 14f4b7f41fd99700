#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"

namespace clusterd {

// What many records have in common, words in place of text, and the seqs of those that have it.
// Some twelve bytes for each.
//
// A value; one thread at a time, or any number that only read.
class TermSets {
 public:
  struct Term {
    uint32_t kind;  // which part of the record it is about
    uint32_t word;
    uint32_t value = 0;

    friend auto operator<=>(const Term&, const Term&) = default;
    template <typename Hash>
    friend Hash AbslHashValue(Hash hash, const Term& term) {
      return Hash::combine(std::move(hash), term.kind, term.word, term.value);
    }
  };
  using AnyOf = std::vector<Term>;

  void add(const Term& term, uint64_t seq);
  void remove(const Term& term, uint64_t seq);

  // Lowers `most` to the highest seq, not above it, that has some term of each of these; or as far
  // as it has looked, when `looks` is down to 0. False: there is none.
  [[nodiscard]] bool meet(const std::vector<AnyOf>& conditions, uint64_t& most,
                          size_t& looks) const;

 private:
  using Seqs = absl::btree_set<uint64_t, std::greater<>>;

  [[nodiscard]] std::optional<uint64_t> at_most(const AnyOf& terms, uint64_t most) const;

  absl::flat_hash_map<Term, Seqs> sets_;
};

}  // namespace clusterd
