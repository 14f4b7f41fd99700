#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "store/sqlite_database.h"
#include "store/sqlite_sweeper.h"
#include "store/store.h"

namespace clusterd {

// The one connection that changes the store.
//
// Owned by SqliteStore; one thread at a time. Every failed transaction is rolled back, so the
// next one finds what the last durable commit left.
class SqliteWriter {
 public:
  // Length of the write-ahead log beyond which a commit first moves all of it into the file.
  static constexpr int kLongestLogPages = 16'000;  // 64 MiB

  // `on_log_growth(pages)` is called after each commit with the length of the write-ahead log.
  // `database` has the schema.
  // Of events the newest `max_events` are kept.
  SqliteWriter(std::unique_ptr<SqliteDatabase> database, uint64_t max_events,
               absl::AnyInvocable<void(int pages)> on_log_growth);

  // See Store.
  [[nodiscard]] absl::StatusOr<StoreContents> begin_term();
  [[nodiscard]] absl::Status commit(absl::Span<const StoreBatch> batches);

 private:
  [[nodiscard]] absl::Status bound_log();
  [[nodiscard]] absl::Status in_transaction(absl::AnyInvocable<absl::Status()> changes);
  [[nodiscard]] absl::Status read_meta(internal::StoreMeta& meta);
  [[nodiscard]] absl::Status raise_epoch(internal::StoreMeta& meta);
  [[nodiscard]] absl::Status read_jobs(StoreContents& contents);
  [[nodiscard]] absl::Status read_recorded_tasks(StoreContents& contents);
  [[nodiscard]] absl::Status read_workers(StoreContents& contents);
  [[nodiscard]] absl::Status read_named(StoreContents& contents);
  [[nodiscard]] absl::Status count_ended(StoreContents& contents);
  [[nodiscard]] absl::Status set_aside(StoreContents& contents, const std::string& table,
                                       const std::string& key);

  [[nodiscard]] absl::Status write(absl::Span<const StoreBatch> batches);
  [[nodiscard]] absl::Status write_jobs(absl::Span<const StoreBatch> batches);
  [[nodiscard]] absl::Status write_members(const StoreBatch& batch);
  [[nodiscard]] absl::Status write_keys(const StoreBatch& batch);
  [[nodiscard]] absl::Status write_events(absl::Span<const StoreBatch> batches);
  [[nodiscard]] absl::Status put_worker(const internal::WorkerRecord& record);
  [[nodiscard]] absl::Status put_idempotency(const internal::IdempotencyRecord& record);
  [[nodiscard]] absl::Status erase_idempotency(const std::string& key);
  [[nodiscard]] absl::Status erase(const std::string& table, const std::string& key);
  [[nodiscard]] absl::Status put_meta(const std::string& name, int64_t value);

  std::unique_ptr<SqliteDatabase> database_;
  absl::AnyInvocable<void(int)> on_log_growth_;
  SqliteSweeper sweeper_;
  const uint64_t max_events_;
  uint64_t last_job_seq_ = 0;  // as of the last durable commit
  int log_pages_ = 0;
};

}  // namespace clusterd
