#include "store/seq_walk.h"

#include <algorithm>

namespace clusterd {
namespace {

constexpr int kFewSteps = 4;  // of rows, before a search in the index is cheaper

}  // namespace

absl::StatusOr<std::optional<int64_t>> SeqWalk::at_most(int64_t most) {
  for (int steps = 0; !has_ended_; ++steps) {
    if (has_begun_ && *seq_ <= most) return seq_;
    const absl::Status status = advance(most, !has_begun_ || steps == kFewSteps);
    if (!status.ok()) return status;
  }
  return std::nullopt;
}

absl::Status SeqWalk::advance(int64_t most, bool directly) {
  if (directly) statement_.restart().bind(1, most);
  const absl::StatusOr<bool> row = statement_.step();
  if (!row.ok()) return row.status();
  has_begun_ = true;
  has_ended_ = !*row;
  if (*row) seq_ = statement_.integer(0);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<int64_t>> SeqUnion::at_most(int64_t most) {
  std::optional<int64_t> highest;
  for (SeqWalk& walk : walks_) {
    const auto seq = walk.at_most(most);
    if (!seq.ok()) return seq;
    highest = std::max(highest, *seq);  // nullopt is below all
  }
  return highest;
}

}  // namespace clusterd
