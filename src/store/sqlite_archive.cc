#include "store/sqlite_archive.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "store/sqlite_database.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_store.h"
#include "store/store_archive.h"

namespace clusterd {
namespace {

constexpr size_t kBatch = 500;
constexpr size_t kMostFaults = 100;
constexpr char kDamaged[] = "damaged";

// A table whose records are messages.
struct Table {
  const char* name;
  ArchiveKind kind;
  const char* query;  // key, record
};
constexpr Table kTables[] = {
    {"jobs", ArchiveKind::kJob, "SELECT job_id, record FROM jobs"},
    {"workers", ArchiveKind::kWorker, "SELECT worker_id, record FROM workers ORDER BY worker_id"},
    {"idempotency", ArchiveKind::kIdempotency, "SELECT key, record FROM idempotency"},
    {"events", ArchiveKind::kEvent, "SELECT seq, record FROM events ORDER BY seq"},
    {"schedules", ArchiveKind::kSchedule, "SELECT name, record FROM schedules ORDER BY name"},
    {"queues", ArchiveKind::kQueue, "SELECT name, record FROM queues ORDER BY name"},
};

// The text of the key that a record has; nullopt: it does not parse.
std::optional<std::string> key_in(ArchiveKind kind, std::string_view record) {
  const auto parse = [record](auto message, auto key) -> std::optional<std::string> {
    if (!message.ParseFromArray(record.data(), static_cast<int>(record.size()))) return {};
    return key(message);
  };
  switch (kind) {
    case ArchiveKind::kJob:
      return parse(v1::Job(), [](const v1::Job& job) { return job.job_id(); });
    case ArchiveKind::kWorker:
      return parse(internal::WorkerRecord(), [](const internal::WorkerRecord& record_of_worker) {
        return record_of_worker.worker().worker_id();
      });
    case ArchiveKind::kIdempotency:
      return parse(internal::IdempotencyRecord(),
                   [](const internal::IdempotencyRecord& answer) { return answer.key(); });
    case ArchiveKind::kEvent:
      return parse(v1::Event(), [](const v1::Event& event) { return absl::StrCat(event.seq()); });
    case ArchiveKind::kSchedule:
      return parse(v1::Schedule(), [](const v1::Schedule& schedule) { return schedule.name(); });
    case ArchiveKind::kQueue:
      return parse(v1::Queue(), [](const v1::Queue& queue) { return queue.name(); });
    default:
      return std::nullopt;
  }
}

// Opens a store for reading, in one transaction: what it shows does not change.
absl::StatusOr<std::unique_ptr<SqliteDatabase>> open_to_read(const std::string& path) {
  if (::access(path.c_str(), R_OK) != 0) return absl::ErrnoToStatus(errno, path);
  auto database = SqliteDatabase::open(path, SqliteDatabase::Access::kReadOnly, "");
  if (!database.ok()) return database.status();
  if (auto status = (*database)->execute("BEGIN"); !status.ok()) return status;
  const auto version = (*database)->query_integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version == kStoreSchemaVersion) return database;
  return absl::FailedPreconditionError(
      absl::StrCat(path, " has format ", *version, ", this clusterd reads ", kStoreSchemaVersion,
                   *version < kStoreSchemaVersion ? "; its scheduler brings it up to date" : ""));
}

// Calls `visit` with key and record of each row.
absl::Status for_each(SqliteDatabase& database, const char* query,
                      absl::FunctionRef<absl::Status(std::string_view, std::string_view)> visit) {
  auto rows = database.prepare(query);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->step();
  for (; row.ok() && *row; row = rows->step()) {
    if (auto status = visit(rows->text(0), rows->blob(1)); !status.ok()) return status;
  }
  return row.status();
}

absl::StatusOr<internal::StoreMeta> read_meta(SqliteDatabase& database) {
  internal::StoreMeta meta;
  meta.set_schema_version(static_cast<uint32_t>(kStoreSchemaVersion));
  auto rows = database.prepare("SELECT name, value FROM meta");
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->step();
  for (; row.ok() && *row; row = rows->step()) {
    const std::string_view name = rows->text(0);
    if (name == "cluster_id") meta.set_cluster_id(std::string(rows->text(1)));
    const auto number = static_cast<uint64_t>(rows->integer(1));
    if (name == "epoch") meta.set_epoch(number);
    if (name == "last_job_seq") meta.set_last_job_seq(number);
    if (name == "last_event_seq") meta.set_last_event_seq(number);
  }
  if (!row.ok()) return row.status();
  return meta;
}

// A store that is being made from an archive.
class Import {
 public:
  explicit Import(std::string path) : path_(std::move(path)) {}

  absl::Status begin() {
    remove();  // of a run that was interrupted
    auto store = SqliteStore::open(path_, {.max_events = UINT64_MAX >> 1});
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    return store_->begin_term().status();
  }

  absl::Status add(const ArchiveRecord& record) {
    absl::Status status = take(record);
    if (!status.ok() || ++pending_ < kBatch) return status;
    return commit();
  }

  // What only a store itself writes: its own words, and whose output is to be deleted.
  absl::Status finish() {
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

  void remove() {
    store_.reset();
    for (const char* end : {"", "-wal", "-shm", ".lock"}) (void)::unlink((path_ + end).c_str());
  }

  StoreCounts counts;

 private:
  absl::Status take(const ArchiveRecord& record) {
    const auto parse = [&record](auto* message) {
      return message->ParseFromString(record.content)
                 ? absl::OkStatus()
                 : absl::DataLossError("a record of the archive does not parse");
    };
    switch (record.kind) {
      case ArchiveKind::kMeta:
        return parse(&meta_);
      case ArchiveKind::kJob:
        ++counts["jobs"];
        return parse(&batch_.put_jobs.emplace_back());
      case ArchiveKind::kWorker:
        ++counts["workers"];
        return parse(&batch_.put_workers.emplace_back());
      case ArchiveKind::kIdempotency:
        ++counts["idempotency"];
        return parse(&batch_.put_idempotency.emplace_back());
      case ArchiveKind::kEvent:
        ++counts["events"];
        return parse(&batch_.put_events.emplace_back());
      case ArchiveKind::kSchedule:
        ++counts["schedules"];
        return parse(&batch_.put_schedules.emplace_back());
      case ArchiveKind::kQueue:
        ++counts["queues"];
        return parse(&batch_.put_queues.emplace_back());
      default:
        ++counts[record.kind == ArchiveKind::kDoomed ? "doomed" : kDamaged];
        rest_.push_back(record);
        return absl::OkStatus();
    }
  }

  absl::Status commit() {
    pending_ = 0;
    const StoreBatch batch = std::exchange(batch_, {});
    return store_->commit(absl::MakeConstSpan(&batch, 1));
  }

  absl::Status put_meta(SqliteDatabase& database) {
    const std::pair<const char*, uint64_t> numbers[] = {{"epoch", meta_.epoch()},
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

  absl::Status put_rest(SqliteDatabase& database) {
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

  const std::string path_;
  std::unique_ptr<SqliteStore> store_;
  StoreBatch batch_;
  size_t pending_ = 0;
  internal::StoreMeta meta_;
  std::vector<ArchiveRecord> rest_;
};

absl::Status fill(Import& import, const std::string& archive) {
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

// What SQLite finds wrong with its pages and indexes.
absl::Status check_pages(SqliteDatabase& database, StoreCheck& check) {
  auto rows = database.prepare(absl::StrCat("PRAGMA integrity_check(", kMostFaults, ")"));
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->step();
  for (; row.ok() && *row; row = rows->step()) {
    if (rows->text(0) != "ok") check.faults.emplace_back(rows->text(0));
  }
  return absl::IsDataLoss(row.status()) ? absl::OkStatus() : row.status();
}

}  // namespace

absl::StatusOr<StoreCounts> export_sqlite(const std::string& path, std::FILE* stream) {
  auto database = open_to_read(path);
  if (!database.ok()) return database.status();
  const auto meta = read_meta(**database);
  if (!meta.ok()) return meta.status();
  ArchiveWriter writer(stream);
  StoreCounts counts;
  absl::Status status = writer.add(ArchiveKind::kMeta, meta->SerializeAsString());
  for (const Table& table : kTables) {
    if (!status.ok()) return status;
    counts[table.name] = 0;
    const auto add = [&](std::string_view, std::string_view record) {
      const bool is_sound = key_in(table.kind, record).has_value();
      ++counts[is_sound ? table.name : kDamaged];
      if (is_sound) return writer.add(table.kind, record);
      return writer.add(ArchiveKind::kDamaged,
                        std::string(table.name) + '\0' + std::string(record));
    };
    status = for_each(**database, table.query, add);
  }
  const auto add_doomed = [&](std::string_view worker_id, std::string_view job_id) {
    ++counts["doomed"];
    return writer.add(ArchiveKind::kDoomed, std::string(worker_id) + '\0' + std::string(job_id));
  };
  const auto add_set_aside = [&](std::string_view source, std::string_view record) {
    ++counts[kDamaged];
    return writer.add(ArchiveKind::kDamaged, std::string(source) + '\0' + std::string(record));
  };
  if (status.ok()) {
    status = for_each(**database, "SELECT worker_id, job_id FROM doomed", add_doomed);
  }
  if (status.ok()) {
    status = for_each(**database, "SELECT source, record FROM set_aside", add_set_aside);
  }
  if (status.ok()) status = writer.finish();
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<StoreCounts> import_sqlite(const std::string& archive, const std::string& path) {
  std::error_code error;
  // SQLite would take what an earlier store has left beside it for this one's.
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    if (!std::filesystem::exists(path + ending, error)) continue;
    return absl::AlreadyExistsError(path + ending + " is there already; move it away first");
  }
  Import import(path + ".importing");
  absl::Status status = fill(import, archive);
  if (status.ok() && ::rename((path + ".importing").c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, path);
  }
  import.remove();
  if (!status.ok()) return status;
  return import.counts;
}

absl::StatusOr<StoreCheck> check_sqlite(const std::string& path) {
  auto database = open_to_read(path);
  if (!database.ok()) return database.status();
  StoreCheck check;
  if (auto status = check_pages(**database, check); !status.ok()) return status;
  for (const Table& table : kTables) {
    check.counts[table.name] = 0;
    const auto look = [&](std::string_view key, std::string_view record) {
      ++check.counts[table.name];
      const auto found = key_in(table.kind, record);
      if (found && *found == key) return absl::OkStatus();
      if (check.faults.size() < kMostFaults) {
        check.faults.push_back(absl::StrCat(
            table.name, " ", std::string(table.kind == ArchiveKind::kIdempotency ? "" : key),
            found ? ": the record is another's" : ": the record does not parse"));
      }
      return absl::OkStatus();
    };
    const absl::Status status = for_each(**database, table.query, look);
    if (absl::IsDataLoss(status)) {
      check.faults.emplace_back(status.message());
    } else if (!status.ok()) {
      return status;
    }
  }
  const auto aside = (*database)->query_integer("SELECT count(*) FROM set_aside");
  if (aside.ok() && *aside > 0) {
    check.counts["set aside"] = static_cast<uint64_t>(*aside);
  }
  return check;
}

absl::StatusOr<std::vector<v1::Worker>> workers_in_sqlite(const std::string& path) {
  auto database = open_to_read(path);
  if (!database.ok()) return database.status();
  std::vector<v1::Worker> workers;
  const auto add = [&workers](std::string_view, std::string_view record) {
    internal::WorkerRecord worker;
    if (worker.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
      workers.push_back(worker.worker());
    }
    return absl::OkStatus();
  };
  const absl::Status status = for_each(**database, kTables[1].query, add);
  if (!status.ok()) return status;
  return workers;
}

}  // namespace clusterd
