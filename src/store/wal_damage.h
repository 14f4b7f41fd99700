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
  uint64_t sound_bytes = 0;   // the log's, its head included

  friend bool operator==(const WalDamage&, const WalDamage&) = default;
};

// SQLite stops reading a log at the first frame whose checksum is wrong, and says nothing: so it
// must after a crash, whose last commit may be cut. A commit that is whole behind such a frame is
// another matter: a bit has flipped, or a power loss has written the last commit in part and out of
// order. nullopt: there is no log, or none such. Format: sqlite.org/fileformat2.html#walformat.
// UNAVAILABLE: it cannot be read. Blocks.
[[nodiscard]] absl::StatusOr<std::optional<WalDamage>> find_wal_damage(const std::string& path);

// A name beside the store's, as `<path>.damaged`, that nothing has yet.
[[nodiscard]] absl::StatusOr<std::string> free_damaged_name(const std::string& path);

// For people.
[[nodiscard]] std::string text_of(const WalDamage& damage);

// Where commits are lost in its log: keeps copies of the store's file and of the log, which SQLite
// would write over, as `<path>.damaged` and `<path>.damaged-wal` or with a number, and cuts the log
// behind what is sound, so that it is told once. `path` is the store's, whose lock the caller has.
// What there is to say of it; empty: nothing is lost. UNAVAILABLE: the copies cannot be made, and
// nothing was changed. Blocks.
[[nodiscard]] absl::StatusOr<std::string> keep_damaged_log(const std::string& path);

}  // namespace clusterd
