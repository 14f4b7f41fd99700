#include "store/sqlite_tables.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/queue.pb.h"
#include "clusterd/v1/schedule.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "store/sealed_record.h"
#include "store/sqlite_schema.h"

namespace clusterd {
namespace {

constexpr SqliteTable kTables[] = {
    {"jobs", "job_id", ArchiveKind::kJob},
    {"workers", "worker_id", ArchiveKind::kWorker},
    {"idempotency", "key", ArchiveKind::kIdempotency},
    {"events", "seq", ArchiveKind::kEvent},
    {"schedules", "name", ArchiveKind::kSchedule},
    {"queues", "name", ArchiveKind::kQueue},
};

}  // namespace

absl::Span<const SqliteTable> sqlite_tables() { return kTables; }

std::string rows_of(const SqliteTable& table) {
  return absl::StrCat("SELECT ", table.key, ", record FROM ", table.name, " ORDER BY rowid");
}

std::optional<std::string> key_in(ArchiveKind kind, std::string_view record) {
  const auto parse = [record](auto message, auto key) -> std::optional<std::string> {
    if (!parse_sealed(record, message)) return {};
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

absl::StatusOr<std::unique_ptr<SqliteDatabase>> open_to_read(const std::string& path) {
  if (::access(path.c_str(), R_OK) != 0) return absl::ErrnoToStatus(errno, path);
  auto database = SqliteDatabase::open(path, SqliteDatabase::Access::kReadOnly, "");
  if (!database.ok()) return database.status();
  // Without this SQLite opens no file that is shorter than its head says.
  if (auto status = (*database)->execute("PRAGMA writable_schema = ON; BEGIN"); !status.ok()) {
    return status;
  }
  const auto version = (*database)->query_integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version == kStoreSchemaVersion) return database;
  return absl::FailedPreconditionError(
      absl::StrCat(path, " has format ", *version, ", this clusterd reads ", kStoreSchemaVersion,
                   *version < kStoreSchemaVersion ? "; its scheduler brings it up to date" : ""));
}

absl::Status for_each_row(
    SqliteDatabase& database, const std::string& query,
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

}  // namespace clusterd
