#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "store/sqlite_database.h"
#include "store/store.h"

namespace clusterd {

// Deletes records, a bounded number at a time, and remembers whose output is still on workers.
//
// Owned by SqliteWriter, on whose connection it works; inside its transactions.
class SqliteSweeper {
 public:
  explicit SqliteSweeper(SqliteDatabase& database) : database_(database) {}

  // Deletes a job's record; those of its tasks follow with later sweeps.
  [[nodiscard]] absl::Status erase(const std::string& job_id);
  // Deletes that of one that has no output and no tasks, and was never shown.
  [[nodiscard]] absl::Status forget(const std::string& job_id);
  // Some hundreds of: tasks of deleted arrays, request keys from before `keys_before` that are
  // about nothing any more, free pages of the file.
  [[nodiscard]] absl::Status sweep(WallTime keys_before);
  // The worker has deleted that output.
  [[nodiscard]] absl::Status forget_doomed(const DoomedOutput& gone);

 private:
  [[nodiscard]] absl::StatusOr<v1::Job> read(const std::string& job_id);
  [[nodiscard]] absl::Status doom(const v1::Job& job);
  [[nodiscard]] absl::Status run(const char* sql, const std::string& key);
  [[nodiscard]] absl::Status sweep_tasks();
  [[nodiscard]] absl::Status sweep_keys(WallTime before);

  SqliteDatabase& database_;
};

// The tasks of a job that have records, by index.
[[nodiscard]] absl::StatusOr<RecordedTasks> recorded_tasks_of(SqliteDatabase& database,
                                                              const std::string& job_id);

}  // namespace clusterd
