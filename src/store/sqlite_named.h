#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "store/sqlite_database.h"
#include "store/store.h"

namespace clusterd {

// What callers set up and give a name: schedules and queues, a table each.

// Reads a table by name; names of records that do not parse, or are another's, go to `damaged`.
[[nodiscard]] absl::Status read_named_records(SqliteDatabase& database, const std::string& table,
                                              std::vector<v1::Schedule>& records,
                                              std::vector<std::string>& damaged);
[[nodiscard]] absl::Status read_named_records(SqliteDatabase& database, const std::string& table,
                                              std::vector<v1::Queue>& records,
                                              std::vector<std::string>& damaged);

// Writes and deletes those of the batch, in the transaction that is open.
[[nodiscard]] absl::Status write_named_records(SqliteDatabase& database, const StoreBatch& batch);

}  // namespace clusterd
