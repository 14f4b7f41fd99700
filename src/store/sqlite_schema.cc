#include "store/sqlite_schema.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "store/sqlite_migrations.h"

namespace clusterd {
namespace {

constexpr int64_t kApplicationId = 0x636C7364;  // "clsd"

// Tasks of arrays have `array_id`; lists of jobs go by the partial indexes, which leave them out.
constexpr const char* kTables = R"sql(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    worker_id TEXT NOT NULL,
    name TEXT NOT NULL,
    queue TEXT NOT NULL,
    submit_time_ns INTEGER NOT NULL,
    external_id TEXT UNIQUE,
    array_id TEXT,
    task_index INTEGER,
    end_time_ns INTEGER,
    record BLOB NOT NULL
  );
  CREATE INDEX jobs_live ON jobs (seq, task_index) WHERE state < 4;
  CREATE INDEX jobs_ended ON jobs (end_time_ns) WHERE array_id IS NULL AND state >= 4;
  CREATE INDEX jobs_by_seq ON jobs (seq, submit_time_ns) WHERE array_id IS NULL;
  CREATE INDEX jobs_by_state ON jobs (state, seq, submit_time_ns) WHERE array_id IS NULL;
  CREATE INDEX jobs_by_worker ON jobs (worker_id, seq) WHERE array_id IS NULL;
  CREATE INDEX jobs_by_worker_state ON jobs (worker_id, state, seq) WHERE array_id IS NULL;
  CREATE INDEX jobs_by_name ON jobs (name, seq) WHERE array_id IS NULL AND name <> '';
  CREATE INDEX jobs_by_queue ON jobs (queue, seq) WHERE array_id IS NULL AND queue <> '';
  CREATE INDEX jobs_by_array ON jobs (array_id, task_index, state) WHERE array_id IS NOT NULL;
  CREATE INDEX jobs_by_array_state ON jobs (array_id, state, task_index)
    WHERE array_id IS NOT NULL;
  CREATE TABLE job_labels (label TEXT NOT NULL, seq INTEGER NOT NULL,
                           PRIMARY KEY (label, seq)) WITHOUT ROWID;
  CREATE TABLE workers (worker_id TEXT PRIMARY KEY, record BLOB NOT NULL);
  CREATE TABLE idempotency (
    key BLOB PRIMARY KEY,
    time_ns INTEGER NOT NULL,
    subject_id TEXT NOT NULL,
    job_gone INTEGER NOT NULL,
    record BLOB NOT NULL
  );
  CREATE INDEX idempotency_by_subject ON idempotency (subject_id);
  CREATE INDEX idempotency_gone ON idempotency (time_ns) WHERE job_gone;
  CREATE TABLE sweeps (array_id TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE doomed (worker_id TEXT NOT NULL, job_id TEXT NOT NULL,
                       PRIMARY KEY (worker_id, job_id)) WITHOUT ROWID;
  CREATE TABLE schedules (name TEXT PRIMARY KEY, record BLOB NOT NULL);
  CREATE TABLE queues (name TEXT PRIMARY KEY, record BLOB NOT NULL);
  CREATE TABLE events (seq INTEGER PRIMARY KEY, record BLOB NOT NULL);
  CREATE TABLE set_aside (source TEXT NOT NULL, key BLOB NOT NULL, why TEXT NOT NULL,
                          record BLOB NOT NULL);
)sql";

absl::Status create_tables(SqliteDatabase& database) {
  return database.execute(absl::StrCat("BEGIN IMMEDIATE;", kTables,
                                       "PRAGMA application_id = ", kApplicationId,
                                       ";PRAGMA user_version = ", kStoreSchemaVersion, ";COMMIT;"));
}

absl::Status check_is_ours(SqliteDatabase& database, int64_t version) {
  const absl::StatusOr<int64_t> application = database.query_integer("PRAGMA application_id");
  if (!application.ok()) return application.status();
  if (*application != kApplicationId) {
    return absl::FailedPreconditionError("this SQLite file is not a clusterd store");
  }
  if (version <= kStoreSchemaVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the store has format ", version,
                                                    ", made by a newer clusterd; this one reads ",
                                                    kStoreSchemaVersion, " at most"));
}

// SQLite says nothing when a file system cannot have a log beside the file.
absl::Status check_is_durable(SqliteDatabase& database) {
  constexpr int64_t kFull = 2;
  const absl::StatusOr<int64_t> synchronous = database.query_integer("PRAGMA synchronous");
  if (!synchronous.ok()) return synchronous.status();
  absl::StatusOr<SqliteStatement> mode = database.prepare("PRAGMA journal_mode");
  if (!mode.ok()) return mode.status();
  const absl::StatusOr<bool> row = mode->step();
  if (!row.ok()) return row.status();
  if (*row && mode->text(0) == "wal" && *synchronous == kFull) return absl::OkStatus();
  return absl::UnavailableError("the store's file system cannot keep a write-ahead log");
}

}  // namespace

absl::Status prepare_schema(SqliteDatabase& database) {
  const absl::StatusOr<int64_t> version = database.query_integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  const absl::StatusOr<int64_t> objects =
      database.query_integer("SELECT count(*) FROM sqlite_schema");
  if (!objects.ok()) return objects.status();
  const bool is_new = *version == 0 && *objects == 0;
  if (!is_new) {
    const absl::Status ours = check_is_ours(database, *version);
    if (!ours.ok()) return ours;
  }
  if (is_new) {  // room is given back bit by bit; it must be said before the first table is made
    const absl::Status vacuum = database.execute("PRAGMA auto_vacuum = INCREMENTAL");
    if (!vacuum.ok()) return vacuum;
  }
  // FULL: each commit ends with an fdatasync of the log, which is what "accepted" means.
  const absl::Status settings = database.execute(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
      "PRAGMA journal_size_limit = 67108864;");
  if (!settings.ok()) return settings;
  const absl::Status durable = check_is_durable(database);
  if (!durable.ok()) return durable;
  return is_new ? create_tables(database) : migrate(database, *version);
}

}  // namespace clusterd
