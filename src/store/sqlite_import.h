#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/internal/store.pb.h"
#include "store/sqlite_archive.h"
#include "store/sqlite_store.h"
#include "store/store_archive.h"

namespace clusterd {

// A SQLite store that is being made of the records of an archive. One thread; blocks.
class SqliteImport {
 public:
  // The file is made at `path`, over what an earlier run has left there.
  explicit SqliteImport(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] absl::Status begin();
  // DATA_LOSS: the record does not parse.
  [[nodiscard]] absl::Status add(const ArchiveRecord& record);
  // What only a store itself writes: its own words, and whose output is to be deleted. All is in
  // the file then, and durable.
  [[nodiscard]] absl::Status finish();
  // Takes away what is there.
  void remove();

  [[nodiscard]] const StoreCounts& counts() const { return counts_; }

 private:
  absl::Status take(const ArchiveRecord& record);
  absl::Status commit();
  absl::Status put_meta(SqliteDatabase& database);
  absl::Status put_rest(SqliteDatabase& database);

  const std::string path_;
  std::unique_ptr<SqliteStore> store_;
  StoreBatch batch_;
  size_t pending_ = 0;
  internal::StoreMeta meta_;
  std::vector<ArchiveRecord> rest_;
  StoreCounts counts_;
};

}  // namespace clusterd
