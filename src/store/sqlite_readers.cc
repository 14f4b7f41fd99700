#include "store/sqlite_readers.h"

#include <utility>

namespace clusterd {

SqliteReaders::SqliteReaders(std::vector<std::unique_ptr<SqliteDatabase>> connections)
    : free_(std::move(connections)) {}

absl::Status SqliteReaders::with_snapshot(
    absl::FunctionRef<absl::Status(SqliteDatabase& database)> read) {
  std::unique_ptr<SqliteDatabase> database;
  {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [this] { return !free_.empty(); });
    database = std::move(free_.back());
    free_.pop_back();
  }
  absl::Status result = database->execute("BEGIN");
  if (result.ok()) {
    result = read(*database);
    const absl::Status ended = database->execute("ROLLBACK");
    if (result.ok()) result = ended;
  }
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(database));
  }
  returned_.notify_one();
  return result;
}

}  // namespace clusterd
