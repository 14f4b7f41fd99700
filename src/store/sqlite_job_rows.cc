#include "store/sqlite_job_rows.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"
#include "clusterd/job_tasks.h"
#include "core/proto_time.h"
#include "store/sealed_record.h"

namespace clusterd {
namespace {

constexpr const char* kPutJob =
    "INSERT INTO jobs (job_id, seq, state, worker_id, name, queue, submit_time_ns, external_id,"
    " array_id, task_index, end_time_ns, record)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, ''), ?9, ?10, ?11, ?12)"
    " ON CONFLICT (job_id) DO UPDATE SET state = excluded.state, worker_id = excluded.worker_id,"
    " end_time_ns = excluded.end_time_ns, record = excluded.record";

int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  return from_proto(time).time_since_epoch().count();
}

absl::Status put_row(SqliteDatabase& database, const v1::Job& job) {
  absl::StatusOr<SqliteStatement> put = database.prepare(kPutJob);
  if (!put.ok()) return put.status();
  const auto parts = split_task_id(job.job_id());
  if (parts) put->bind_text(9, parts->first).bind(10, parts->second);
  if (job.has_end_time()) put->bind(11, nanoseconds(job.end_time()));
  return put->bind_text(1, job.job_id())
      .bind(2, static_cast<int64_t>(job.seq()))
      .bind(3, job.state())
      .bind_text(4, job.worker_id())
      .bind_text(5, job.spec().name())
      .bind_text(6, job.spec().queue())
      .bind(7, nanoseconds(job.submit_time()))
      .bind_text(8, job.external_id())
      .bind_blob(12, seal(job))
      .run();
}

}  // namespace

std::string_view indexed_label(std::string_view label) {
  return label.substr(0, kIndexedLabelBytes);
}

std::vector<std::string> indexed_labels_of(const v1::Job& job) {
  std::vector<std::string> labels;
  const auto& all = job.spec().labels();
  if (all.empty() || split_task_id(job.job_id())) return labels;
  if (all.size() > kMostIndexedLabels) return {std::string(kManyLabels)};
  for (const auto& [key, value] : all) {
    labels.emplace_back(indexed_label(key));
    labels.emplace_back(indexed_label(absl::StrCat(key, "=", value)));
  }
  return labels;
}

absl::Status put_job(SqliteDatabase& database, const v1::Job& job) {
  if (job.spec().labels().empty()) return put_row(database, job);
  // What updates a row that is there leaves this number as it is.
  sqlite3_set_last_insert_rowid(database.handle(), 0);
  absl::Status status = put_row(database, job);
  if (!status.ok() || sqlite3_last_insert_rowid(database.handle()) == 0) return status;
  for (const std::string& label : indexed_labels_of(job)) {
    if (status.ok()) status = put_label(database, label, static_cast<int64_t>(job.seq()));
  }
  return status;
}

absl::Status put_label(SqliteDatabase& database, std::string_view indexed_label, int64_t seq) {
  // Labels whose first bytes are the same have one row.
  auto put = database.prepare("INSERT OR IGNORE INTO job_labels (label, seq) VALUES (?1, ?2)");
  if (!put.ok()) return put.status();
  return put->bind_text(1, indexed_label).bind(2, seq).run();
}

absl::Status erase_labels(SqliteDatabase& database, const v1::Job& job) {
  for (const std::string& label : indexed_labels_of(job)) {
    auto erased = database.prepare("DELETE FROM job_labels WHERE label = ?1 AND seq = ?2");
    if (!erased.ok()) return erased.status();
    const absl::Status done =
        erased->bind_text(1, label).bind(2, static_cast<int64_t>(job.seq())).run();
    if (!done.ok()) return done;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> is_found_by_labels(SqliteDatabase& database, const v1::Job& job) {
  for (const std::string& label : indexed_labels_of(job)) {
    auto found = database.prepare("SELECT 1 FROM job_labels WHERE label = ?1 AND seq = ?2");
    if (!found.ok()) return found.status();
    const absl::StatusOr<bool> row =
        found->bind_text(1, label).bind(2, static_cast<int64_t>(job.seq())).step();
    if (!row.ok() || !*row) return row;
  }
  return true;
}

}  // namespace clusterd
