#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/sqlite_database.h"

namespace clusterd {

// The seqs that one index has for one value, from the highest down.
//
// A value on the stack of one read; the connection's thread. `statement` gives rows of one column,
// the seqs up to ?1, from the highest down; nobody else uses it meanwhile.
class SeqWalk {
 public:
  explicit SeqWalk(SqliteStatement statement) : statement_(std::move(statement)) {}

  // The highest seq that is not above `most`, which is no higher than in the call before; nullopt:
  // there is none.
  [[nodiscard]] absl::StatusOr<std::optional<int64_t>> at_most(int64_t most);

 private:
  [[nodiscard]] absl::Status advance(int64_t most, bool directly);

  SqliteStatement statement_;
  std::optional<int64_t> seq_;  // of the row that the statement is at
  bool has_begun_ = false;
  bool has_ended_ = false;
};

// The seqs that any of some walks has, from the highest down.
class SeqUnion {
 public:
  void add(SeqWalk walk) { walks_.push_back(std::move(walk)); }
  // As that of a walk.
  [[nodiscard]] absl::StatusOr<std::optional<int64_t>> at_most(int64_t most);

 private:
  std::vector<SeqWalk> walks_;
};

}  // namespace clusterd
