#include "store/sqlite_import.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "store/sqlite_database.h"

namespace clusterd {
namespace {

constexpr size_t kBatch = 500;

absl::Status fill(SqliteImport& import, const std::string& archive) {
  auto reader = ArchiveReader::open(archive);
  if (!reader.ok()) return reader.status();
  if (auto status = import.begin(); !status.ok()) return status;
  while (true) {
    auto record = (*reader)->next();
    if (!record.ok()) return record.status();
    if (!*record) return import.finish();
    if (auto status = import.add(**record); !status.ok()) return status;
  }
}

}  // namespace

absl::Status SqliteImport::begin() {
  remove();  // of a run that was interrupted
  auto store = SqliteStore::open(path_, {.max_events = UINT64_MAX >> 1});
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  return store_->begin_term().status();
}

absl::Status SqliteImport::add(const ArchiveRecord& record) {
  absl::Status status = take(record);
  if (!status.ok() || ++pending_ < kBatch) return status;
  return commit();
}

absl::Status SqliteImport::finish() {
  if (auto status = commit(); !status.ok()) return status;
  store_.reset();  // moves the log into the file
  auto database = SqliteDatabase::open(path_, SqliteDatabase::Access::kReadWrite, "");
  if (!database.ok()) return database.status();
  absl::Status status = (*database)->execute("BEGIN IMMEDIATE; DELETE FROM meta");
  if (status.ok()) status = put_meta(**database);
  if (status.ok()) status = put_rest(**database);
  if (status.ok()) status = (*database)->execute("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  return status;
}

void SqliteImport::remove() {
  store_.reset();
  for (const char* end : {"", "-wal", "-shm", ".lock"}) (void)::unlink((path_ + end).c_str());
}

absl::Status SqliteImport::take(const ArchiveRecord& record) {
  const auto parse = [&record](auto* message) {
    return message->ParseFromString(record.content)
               ? absl::OkStatus()
               : absl::DataLossError("a record of the archive does not parse");
  };
  switch (record.kind) {
    case ArchiveKind::kMeta:
      return parse(&meta_);
    case ArchiveKind::kJob:
      ++counts_["jobs"];
      return parse(&batch_.put_jobs.emplace_back());
    case ArchiveKind::kWorker:
      ++counts_["workers"];
      return parse(&batch_.put_workers.emplace_back());
    case ArchiveKind::kIdempotency:
      ++counts_["idempotency"];
      return parse(&batch_.put_idempotency.emplace_back());
    case ArchiveKind::kEvent:
      ++counts_["events"];
      return parse(&batch_.put_events.emplace_back());
    case ArchiveKind::kSchedule:
      ++counts_["schedules"];
      return parse(&batch_.put_schedules.emplace_back());
    case ArchiveKind::kQueue:
      ++counts_["queues"];
      return parse(&batch_.put_queues.emplace_back());
    default:
      ++counts_[record.kind == ArchiveKind::kDoomed ? "doomed" : "damaged"];
      rest_.push_back(record);
      return absl::OkStatus();
  }
}

absl::Status SqliteImport::commit() {
  pending_ = 0;
  const StoreBatch batch = std::exchange(batch_, {});
  return store_->commit(absl::MakeConstSpan(&batch, 1));
}

absl::Status SqliteImport::put_meta(SqliteDatabase& database) {
  const std::pair<const char*, uint64_t> numbers[] = {{"epoch", epoch_after_import(meta_.epoch())},
                                                      {"last_job_seq", meta_.last_job_seq()},
                                                      {"last_event_seq", meta_.last_event_seq()}};
  for (const auto& [name, number] : numbers) {
    auto put = database.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)");
    if (!put.ok()) return put.status();
    const auto status = put->bind_text(1, name).bind(2, static_cast<int64_t>(number)).run();
    if (!status.ok()) return status;
  }
  if (meta_.cluster_id().empty()) return absl::OkStatus();
  auto put = database.prepare("INSERT INTO meta (name, value) VALUES ('cluster_id', ?1)");
  if (!put.ok()) return put.status();
  return put->bind_text(1, meta_.cluster_id()).run();
}

absl::Status SqliteImport::put_rest(SqliteDatabase& database) {
  for (const ArchiveRecord& record : rest_) {
    const size_t nul = record.content.find('\0');
    if (nul == std::string::npos) return absl::DataLossError("a record of the archive is cut");
    const std::string_view first(record.content.data(), nul);
    const std::string_view second = std::string_view(record.content).substr(nul + 1);
    const bool is_doomed = record.kind == ArchiveKind::kDoomed;
    auto put = database.prepare(
        is_doomed ? "INSERT OR IGNORE INTO doomed (worker_id, job_id) VALUES (?1, ?2)"
                  : "INSERT INTO set_aside (source, key, why, record)"
                    " VALUES (?1, '', 'damaged when it was exported', ?2)");
    if (!put.ok()) return put.status();
    put->bind_text(1, first);
    is_doomed ? put->bind_text(2, second) : put->bind_blob(2, second);
    if (auto status = put->run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<StoreCounts> import_sqlite(const std::string& archive, const std::string& path) {
  std::error_code error;
  // SQLite would take what an earlier store has left beside it for this one's.
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    if (!std::filesystem::exists(path + ending, error)) continue;
    return absl::AlreadyExistsError(path + ending + " is there already; move it away first");
  }
  SqliteImport import(path + ".importing");
  absl::Status status = fill(import, archive);
  if (status.ok() && ::rename((path + ".importing").c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, path);
  }
  import.remove();
  if (!status.ok()) return status;
  return import.counts();
}

}  // namespace clusterd
