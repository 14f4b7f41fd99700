#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "store/sqlite_database.h"

namespace clusterd {

// A few read-only connections for the threads that list and look up.
//
// Owned by SqliteStore. Any thread; one that finds all connections in use waits for the next.
class SqliteReaders {
 public:
  explicit SqliteReaders(std::vector<std::unique_ptr<SqliteDatabase>> connections);

  // Calls `read` with a connection, inside one read transaction: it sees one commit's state.
  [[nodiscard]] absl::Status with_snapshot(
      absl::FunctionRef<absl::Status(SqliteDatabase& database)> read);

 private:
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<SqliteDatabase>> free_;  // guarded by mutex_
};

}  // namespace clusterd
