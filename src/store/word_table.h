#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace clusterd {

// Words that many records share, each kept once for as long as a record has it.
//
// A value; one thread at a time.
class WordTable {
 public:
  using Id = uint32_t;
  static constexpr Id kEmpty = 0;  // the empty word's; it is not counted

  // To be given back with drop().
  [[nodiscard]] Id take(std::string_view word);
  void drop(Id id);
  // nullopt: nobody has it.
  [[nodiscard]] std::optional<Id> find(std::string_view word) const;
  [[nodiscard]] size_t size() const { return ids_.size(); }

 private:
  struct Word {
    std::string text;
    uint32_t uses = 0;
  };

  std::vector<Word> words_ = {Word()};
  std::vector<Id> free_;
  absl::flat_hash_map<std::string, Id> ids_;
};

}  // namespace clusterd
