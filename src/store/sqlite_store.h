#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "store/file_lock.h"
#include "store/sqlite_database.h"
#include "store/sqlite_readers.h"
#include "store/sqlite_writer.h"
#include "store/store.h"
#include "store/wal_checkpointer.h"

namespace clusterd {

// The store of a single scheduler: one SQLite file, readable by its owner only.
//
// Owned by the scheduler's app. begin_term() and commit() by one thread at a time, the rest by
// any. One writing connection, one that checkpoints, a few that read. While it is open no other
// process can open it; the destructor releases it.
class SqliteStore final : public Store {
 public:
  struct Options {
    int readers = 4;
    std::string vfs;                // SQLite's file system layer; empty: its default
    uint64_t max_events = 100'000;  // the newest are kept
  };

  // Makes the file where there is none; its folder must exist. FAILED_PRECONDITION: another
  // scheduler has it open, a newer program made it, or it is not a store. UNAVAILABLE: it cannot
  // be opened. DATA_LOSS: it is damaged.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SqliteStore>> open(const std::string& path,
                                                                         const Options& options);
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SqliteStore>> open(const std::string& path);

  absl::StatusOr<StoreContents> begin_term() override;
  absl::Status commit(absl::Span<const StoreBatch> batches) override;
  absl::StatusOr<v1::Job> find_job(const std::string& job_id) override;
  absl::StatusOr<v1::ListJobsResponse> list_jobs(const v1::ListJobsRequest& request) override;
  absl::StatusOr<v1::ListJobsResponse> list_tasks(const v1::ListTasksRequest& request) override;
  absl::StatusOr<RecordedTasks> recorded_tasks(const std::string& job_id) override;
  absl::StatusOr<std::optional<internal::IdempotencyRecord>> find_idempotency(
      const std::string& key) override;
  absl::StatusOr<std::vector<v1::Event>> read_events(uint64_t since, size_t limit) override;
  absl::StatusOr<std::vector<std::string>> find_expired(WallTime before, uint64_t max_jobs,
                                                        size_t limit) override;
  absl::StatusOr<std::vector<std::string>> find_doomed(const std::string& worker_id,
                                                       size_t limit) override;
  absl::StatusOr<uint64_t> free_bytes() override;

 private:
  SqliteStore(std::string path, std::string log_damage, uint64_t max_events, FileLock lock,
              std::unique_ptr<SqliteDatabase> writer, std::unique_ptr<SqliteDatabase> checkpointer,
              std::vector<std::unique_ptr<SqliteDatabase>> readers);

  std::string path_;
  std::string log_damage_;  // told with the first term
  FileLock lock_;           // released last
  WalCheckpointer checkpointer_;
  SqliteReaders readers_;
  SqliteWriter writer_;
};

}  // namespace clusterd
