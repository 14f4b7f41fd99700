#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "store/sqlite_database.h"

namespace clusterd {

// Format of the store; raised with each change that an older program cannot read.
inline constexpr int64_t kStoreSchemaVersion = 5;

// Makes the tables in an empty file, brings ours to the present format, and switches `database` to
// WAL with an fdatasync for each commit and no checkpoints of its own. FAILED_PRECONDITION: made by
// a newer program, or not a store of ours; nothing is changed.
[[nodiscard]] absl::Status prepare_schema(SqliteDatabase& database);

}  // namespace clusterd
