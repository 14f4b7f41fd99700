#include "store/word_table.h"

namespace clusterd {

WordTable::Id WordTable::take(std::string_view word) {
  if (word.empty()) return kEmpty;
  const auto [found, is_new] = ids_.try_emplace(std::string(word), kEmpty);
  if (is_new && free_.empty()) {
    found->second = static_cast<Id>(words_.size());
    words_.emplace_back();
  } else if (is_new) {
    found->second = free_.back();
    free_.pop_back();
  }
  if (is_new) words_[found->second].text = std::string(word);
  ++words_[found->second].uses;
  return found->second;
}

void WordTable::drop(Id id) {
  if (id == kEmpty || --words_[id].uses > 0) return;
  ids_.erase(words_[id].text);
  words_[id].text = std::string();
  free_.push_back(id);
}

std::optional<WordTable::Id> WordTable::find(std::string_view word) const {
  if (word.empty()) return kEmpty;
  const auto found = ids_.find(std::string(word));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace clusterd
