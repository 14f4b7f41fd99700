#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace clusterd {

// Commits in a write-ahead log of SQLite that it does not use.
struct WalDamage {
  uint64_t sound_frames = 0;  // from the beginning on: what SQLite uses of it
  uint64_t lost_commits = 0;  // behind the first frame that is not sound
};

// SQLite stops reading a log at the first frame whose checksum is wrong, and says nothing: so it
// must after a crash, whose last commit may be cut. A commit that is whole behind such a frame is
// another matter: a bit has flipped, or a power loss has written the last commit in part and out of
// order. nullopt: there is no log, or none such. Format: sqlite.org/fileformat2.html#walformat.
// UNAVAILABLE: it cannot be read. Blocks.
[[nodiscard]] absl::StatusOr<std::optional<WalDamage>> find_wal_damage(const std::string& path);

// For people.
[[nodiscard]] std::string text_of(const WalDamage& damage);

// Copies a log in which commits are lost, before SQLite writes over it. `path` is the store's. What
// there is to say of it; empty: nothing is lost. Errors as of find_wal_damage(). Blocks.
[[nodiscard]] absl::StatusOr<std::string> keep_damaged_log(const std::string& path);

}  // namespace clusterd
