#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "store/sqlite_archive.h"

namespace clusterd {

struct StoreRepair {
  StoreCounts counts;               // what the store has now
  std::vector<std::string> losses;  // for people; empty: all was saved
  std::string damaged_file;         // where the file lies that it was made from
};

// Makes a store anew of what of a damaged one can be read, puts it in its place, and keeps the
// damaged file beside it, with the commits of its log in it. Records that are damaged themselves
// are set aside in the new one, which takes the old one's place once all of it is durable.
//
// NOT_FOUND: no such file. FAILED_PRECONDITION: a scheduler is using it, it is no store, or of
// another format. DATA_LOSS: not even its first page can be read. UNAVAILABLE: it cannot be
// written. Blocks.
[[nodiscard]] absl::StatusOr<StoreRepair> repair_sqlite(const std::string& path);

}  // namespace clusterd
