#include "store/sqlite_migrations.h"

#include <sqlite3.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clusterd/internal/store.pb.h"
#include "core/proto_time.h"
#include "store/sealed_record.h"
#include "store/sqlite_job_rows.h"

namespace clusterd {
namespace {

// Room is given back bit by bit from format 2 on, which a file learns by being written anew. Told
// first, since it cannot be part of the transaction; done twice, it does no harm.
constexpr const char* kBeforeFormat2 = "PRAGMA auto_vacuum = INCREMENTAL; VACUUM;";

// Format 1 knew no tasks of arrays and no deletion.
constexpr const char* kToFormat2 = R"sql(
  BEGIN IMMEDIATE;
  DROP INDEX jobs_live;
  DROP INDEX jobs_by_array;
  DROP INDEX idempotency_by_time;
  DROP TABLE task_chunks;
  ALTER TABLE jobs ADD COLUMN task_index INTEGER;
  ALTER TABLE jobs ADD COLUMN end_time_ns INTEGER;
  UPDATE jobs SET end_time_ns = end_time_of(record) WHERE state >= 4;
  CREATE INDEX jobs_live ON jobs (seq, task_index) WHERE state < 4;
  CREATE INDEX jobs_ended ON jobs (end_time_ns) WHERE array_id IS NULL AND state >= 4;
  CREATE INDEX jobs_by_array ON jobs (array_id, task_index, state) WHERE array_id IS NOT NULL;
  CREATE INDEX jobs_by_array_state ON jobs (array_id, state, task_index)
    WHERE array_id IS NOT NULL;
  ALTER TABLE idempotency ADD COLUMN subject_id TEXT NOT NULL DEFAULT '';
  ALTER TABLE idempotency ADD COLUMN job_gone INTEGER NOT NULL DEFAULT 0;
  UPDATE idempotency SET subject_id = subject_of(record);
  UPDATE idempotency SET job_gone =
    NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.job_id = idempotency.subject_id);
  CREATE INDEX idempotency_by_subject ON idempotency (subject_id);
  CREATE INDEX idempotency_gone ON idempotency (time_ns) WHERE job_gone;
  CREATE TABLE sweeps (array_id TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE doomed (worker_id TEXT NOT NULL, job_id TEXT NOT NULL,
                       PRIMARY KEY (worker_id, job_id)) WITHOUT ROWID;
  PRAGMA user_version = 2;
  COMMIT;
)sql";

// Format 2 knew no schedules and no queues that are set up.
constexpr const char* kToFormat3 = R"sql(
  BEGIN IMMEDIATE;
  CREATE TABLE schedules (name TEXT PRIMARY KEY, record BLOB NOT NULL);
  CREATE TABLE queues (name TEXT PRIMARY KEY, record BLOB NOT NULL);
  PRAGMA user_version = 3;
  COMMIT;
)sql";

// Format 4 had no index of labels.
constexpr const char* kBeforeFormat5 = R"sql(
  BEGIN IMMEDIATE;
  CREATE TABLE job_labels (label TEXT NOT NULL, seq INTEGER NOT NULL,
                           PRIMARY KEY (label, seq)) WITHOUT ROWID;
)sql";
constexpr const char* kToFormat5 = "PRAGMA user_version = 5; COMMIT";

using LabelRows = std::vector<std::pair<std::string, int64_t>>;

template <typename Message>
Message parse(sqlite3_value* record) {
  Message message;  // a damaged record is told of where it is read; here it is empty
  (void)message.ParseFromArray(sqlite3_value_blob(record), sqlite3_value_bytes(record));
  return message;
}

void end_time_of(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  const auto job = parse<v1::Job>(*arguments);
  sqlite3_result_int64(context, from_proto(job.end_time()).time_since_epoch().count());
}

void subject_of(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  const auto record = parse<internal::IdempotencyRecord>(*arguments);
  sqlite3_result_text(context, record.subject_id().data(),
                      static_cast<int>(record.subject_id().size()), SQLITE_TRANSIENT);
}

using Function = void (*)(sqlite3_context*, int, sqlite3_value**);

absl::Status define(SqliteDatabase& database, const char* name, Function function) {
  const int result = sqlite3_create_function_v2(
      database.handle(), name, 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, nullptr,
      function, nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : database.error(result);
}

absl::Status run_whole(SqliteDatabase& database, const char* transaction) {
  absl::Status status = database.execute(transaction);
  // Some errors have rolled back already; one of the rollback itself would hide the first.
  if (!status.ok() && database.in_transaction()) (void)database.execute("ROLLBACK");
  return status;
}

absl::Status to_format_2(SqliteDatabase& database) {
  absl::Status status = define(database, "end_time_of", end_time_of);
  if (status.ok()) status = define(database, "subject_of", subject_of);
  if (status.ok()) status = database.execute(kBeforeFormat2);
  if (status.ok()) status = run_whole(database, kToFormat2);
  return status;
}

absl::Status put_labels(SqliteDatabase& database, LabelRows& rows) {
  // By label: where each job has others, each row would be on another page.
  std::sort(rows.begin(), rows.end());
  absl::Status status;
  for (const auto& [label, seq] : rows) {
    if (status.ok()) status = put_label(database, label, seq);
  }
  rows.clear();
  return status;
}

// Whatever of the jobs `reader` can read in this order; OK too where a damaged page ends it.
absl::Status index_labels(SqliteDatabase& reader, SqliteDatabase& database, const char* order,
                          bool& is_whole) {
  constexpr size_t kAtOnce = 200'000;  // some 15 MiB
  auto found = reader.prepare(
      absl::StrCat("SELECT record FROM jobs WHERE array_id IS NULL ORDER BY rowid ", order));
  if (!found.ok()) return found.status();
  LabelRows rows;
  v1::Job job;
  absl::StatusOr<bool> row = found->step();
  for (; row.ok() && *row; row = found->step()) {
    if (!parse_sealed(found->blob(0), job)) continue;  // no list shows it
    for (std::string& label : indexed_labels_of(job)) {
      rows.emplace_back(std::move(label), static_cast<int64_t>(job.seq()));
    }
    if (rows.size() < kAtOnce) continue;
    if (auto status = put_labels(database, rows); !status.ok()) return status;
  }
  is_whole = row.ok();
  if (!is_whole && !is_damage(row.status())) return row.status();
  return put_labels(database, rows);
}

absl::Status to_format_5(SqliteDatabase& database) {
  // A transaction that has met a damaged page changes nothing any more: another one reads.
  const auto reader = SqliteDatabase::open(sqlite3_db_filename(database.handle(), "main"),
                                           SqliteDatabase::Access::kReadOnly, "");
  if (!reader.ok()) return reader.status();
  absl::Status status = database.execute(kBeforeFormat5);
  bool is_whole = false;
  if (status.ok()) status = index_labels(**reader, database, "ASC", is_whole);
  // It has started with a damaged page until now: what lies behind that is found from the end.
  if (status.ok() && !is_whole) status = index_labels(**reader, database, "DESC", is_whole);
  if (status.ok()) status = database.execute(kToFormat5);
  if (!status.ok() && database.in_transaction()) (void)database.execute("ROLLBACK");
  return status;
}

}  // namespace

absl::Status migrate(SqliteDatabase& database, int64_t version) {
  absl::Status status;
  if (version < 2) status = to_format_2(database);
  if (status.ok() && version < 3) status = run_whole(database, kToFormat3);
  // Records are sealed from format 4 on, as they are written; an earlier program would not know.
  if (status.ok() && version < 4) status = database.execute("PRAGMA user_version = 4");
  if (status.ok() && version < 5) status = to_format_5(database);
  return status;
}

}  // namespace clusterd
