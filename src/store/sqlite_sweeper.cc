#include "store/sqlite_sweeper.h"

#include <string_view>
#include <vector>

#include "clusterd/job_tasks.h"
#include "store/sealed_record.h"
#include "store/sqlite_job_rows.h"

namespace clusterd {
namespace {

constexpr int64_t kMostAtOnce = 500;

bool parse(SqliteStatement& row, int column, v1::Job& job) {
  return parse_sealed(row.blob(column), job);
}

}  // namespace

absl::Status SqliteSweeper::run(const char* sql, const std::string& key) {
  absl::StatusOr<SqliteStatement> statement = database_.prepare(sql);
  if (!statement.ok()) return statement.status();
  return statement->bind_text(1, key).run();
}

// One that is not there, or is damaged, is empty.
absl::StatusOr<v1::Job> SqliteSweeper::read(const std::string& job_id) {
  v1::Job job;
  auto found = database_.prepare("SELECT record FROM jobs WHERE job_id = ?1");
  if (!found.ok()) return found.status();
  const absl::StatusOr<bool> row = found->bind_text(1, job_id).step();
  if (!row.ok()) return row.status();
  if (!*row || !parse(*found, 0, job)) job.Clear();
  return job;
}

absl::Status SqliteSweeper::erase(const std::string& job_id) {
  const absl::StatusOr<v1::Job> job = read(job_id);
  if (!job.ok()) return job.status();
  absl::Status status = doom(*job);
  if (status.ok() && has_tasks(*job)) {
    status = run("INSERT OR IGNORE INTO sweeps (array_id) VALUES (?1)", job_id);
  }
  if (status.ok()) {
    status = run("UPDATE idempotency SET job_gone = 1 WHERE subject_id = ?1", job_id);
  }
  if (status.ok()) status = erase_labels(database_, *job);
  if (status.ok()) status = run("DELETE FROM jobs WHERE job_id = ?1", job_id);
  return status;
}

absl::Status SqliteSweeper::forget(const std::string& job_id) {
  const absl::StatusOr<v1::Job> job = read(job_id);
  if (!job.ok()) return job.status();
  absl::Status status = erase_labels(database_, *job);
  if (status.ok()) status = run("DELETE FROM jobs WHERE job_id = ?1", job_id);
  return status;
}

absl::Status SqliteSweeper::doom(const v1::Job& job) {
  for (const v1::Attempt& attempt : job.attempts()) {
    if (!attempt.has_start_time()) continue;
    auto put =
        database_.prepare("INSERT OR IGNORE INTO doomed (worker_id, job_id) VALUES (?1, ?2)");
    if (!put.ok()) return put.status();
    const absl::Status written =
        put->bind_text(1, attempt.worker_id()).bind_text(2, job.job_id()).run();
    if (!written.ok()) return written;
  }
  return absl::OkStatus();
}

absl::Status SqliteSweeper::forget_doomed(const DoomedOutput& gone) {
  auto erased = database_.prepare("DELETE FROM doomed WHERE worker_id = ?1 AND job_id = ?2");
  if (!erased.ok()) return erased.status();
  return erased->bind_text(1, gone.worker_id).bind_text(2, gone.job_id).run();
}

absl::Status SqliteSweeper::sweep(WallTime keys_before) {
  absl::Status status = sweep_tasks();
  if (status.ok()) status = sweep_keys(keys_before);
  if (!status.ok()) return status;
  auto pages = database_.prepare("PRAGMA incremental_vacuum(500)");
  if (!pages.ok()) return pages.status();
  absl::StatusOr<bool> row = pages->step();  // each step frees a page
  while (row.ok() && *row) row = pages->step();
  return row.status();
}

absl::Status SqliteSweeper::sweep_tasks() {
  std::vector<std::string> ids;
  std::vector<v1::Job> tasks;
  std::string array_id;
  {
    auto found = database_.prepare("SELECT min(array_id) FROM sweeps");
    if (!found.ok()) return found.status();
    const absl::StatusOr<bool> row = found->step();
    if (!row.ok()) return row.status();
    if (*row) array_id = std::string(found->text(0));
  }
  if (array_id.empty()) return absl::OkStatus();
  {
    auto found = database_.prepare(
        "SELECT job_id, record FROM jobs WHERE array_id = ?1 ORDER BY task_index LIMIT ?2");
    if (!found.ok()) return found.status();
    absl::StatusOr<bool> row = found->bind_text(1, array_id).bind(2, kMostAtOnce).step();
    for (; row.ok() && *row; row = found->step()) {
      ids.emplace_back(found->text(0));
      v1::Job task;
      if (parse(*found, 1, task)) tasks.push_back(std::move(task));
    }
    if (!row.ok()) return row.status();
  }
  absl::Status status;
  for (const v1::Job& task : tasks) {
    if (status.ok()) status = doom(task);
  }
  for (const std::string& id : ids) {
    if (status.ok()) {
      status = run("UPDATE idempotency SET job_gone = 1 WHERE subject_id = ?1", id);
    }
    if (status.ok()) status = run("DELETE FROM jobs WHERE job_id = ?1", id);
  }
  if (status.ok() && ids.size() < static_cast<size_t>(kMostAtOnce)) {
    status = run("DELETE FROM sweeps WHERE array_id = ?1", array_id);
  }
  return status;
}

absl::Status SqliteSweeper::sweep_keys(WallTime before) {
  std::vector<std::string> keys;
  {
    auto found = database_.prepare(
        "SELECT key FROM idempotency INDEXED BY idempotency_gone WHERE job_gone AND time_ns < ?1"
        " ORDER BY time_ns LIMIT ?2");
    if (!found.ok()) return found.status();
    absl::StatusOr<bool> row =
        found->bind(1, before.time_since_epoch().count()).bind(2, kMostAtOnce).step();
    for (; row.ok() && *row; row = found->step()) keys.emplace_back(found->blob(0));
    if (!row.ok()) return row.status();
  }
  for (const std::string& key : keys) {
    auto erased = database_.prepare("DELETE FROM idempotency WHERE key = ?1");
    if (!erased.ok()) return erased.status();
    const absl::Status done = erased->bind_blob(1, key).run();
    if (!done.ok()) return done;
  }
  return absl::OkStatus();
}

absl::StatusOr<RecordedTasks> recorded_tasks_of(SqliteDatabase& database,
                                                const std::string& job_id) {
  auto found = database.prepare(
      "SELECT task_index, state FROM jobs INDEXED BY jobs_by_array WHERE array_id = ?1"
      " ORDER BY task_index");
  if (!found.ok()) return found.status();
  RecordedTasks tasks;
  absl::StatusOr<bool> row = found->bind_text(1, job_id).step();
  for (; row.ok() && *row; row = found->step()) {
    tasks.emplace_back(static_cast<uint32_t>(found->integer(0)),
                       static_cast<v1::Job::State>(found->integer(1)));
  }
  if (!row.ok()) return row.status();
  return tasks;
}

}  // namespace clusterd
