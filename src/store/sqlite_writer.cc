#include "store/sqlite_writer.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "clusterd/job_tasks.h"
#include "core/proto_time.h"
#include "store/sealed_record.h"
#include "store/sqlite_job_rows.h"
#include "store/sqlite_named.h"

namespace clusterd {
namespace {

// A UUIDv4.
std::string new_cluster_id() {
  std::array<unsigned char, 16> bytes{};
  sqlite3_randomness(static_cast<int>(bytes.size()), bytes.data());
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0fU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3fU) | 0x80U);
  const std::string hex = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

const char* key_column_of(const std::string& table) {
  if (table == "jobs") return "job_id";
  return table == "schedules" || table == "queues" ? "name" : "worker_id";
}

int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  return from_proto(time).time_since_epoch().count();
}

}  // namespace

SqliteWriter::SqliteWriter(std::unique_ptr<SqliteDatabase> database, uint64_t max_events,
                           absl::AnyInvocable<void(int pages)> on_log_growth)
    : database_(std::move(database)),
      on_log_growth_(std::move(on_log_growth)),
      sweeper_(*database_),
      max_events_(max_events) {
  sqlite3_wal_hook(
      database_->handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        auto* writer = static_cast<SqliteWriter*>(self);
        writer->log_pages_ = pages;
        writer->on_log_growth_(pages);
        return SQLITE_OK;
      },
      this);
}

// A checkpoint beside the commits never catches up with a writer that never rests.
absl::Status SqliteWriter::bound_log() {
  if (log_pages_ < kLongestLogPages) return absl::OkStatus();
  const int result = sqlite3_wal_checkpoint_v2(database_->handle(), nullptr,
                                               SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
  // Readers that do not let go, or a full disk: the log grows a little longer instead.
  const bool postponed = result == SQLITE_BUSY || (result & 0xff) == SQLITE_FULL;
  return result == SQLITE_OK || postponed ? absl::OkStatus() : database_->error(result);
}

absl::Status SqliteWriter::in_transaction(absl::AnyInvocable<absl::Status()> changes) {
  absl::Status result = database_->execute("BEGIN IMMEDIATE");
  if (result.ok()) result = changes();
  if (result.ok()) result = database_->execute("COMMIT");
  // Some errors have rolled back already; one of the rollback itself would hide the first.
  if (!result.ok() && database_->in_transaction()) (void)database_->execute("ROLLBACK");
  return result;
}

absl::StatusOr<StoreContents> SqliteWriter::begin_term() {
  StoreContents contents;
  const absl::Status read = in_transaction([this, &contents]() -> absl::Status {
    absl::Status status = read_meta(contents.meta);
    if (status.ok()) status = raise_epoch(contents.meta);
    if (status.ok()) status = read_jobs(contents);
    if (status.ok()) status = read_recorded_tasks(contents);
    if (status.ok()) status = read_workers(contents);
    if (status.ok()) status = read_named(contents);
    if (status.ok()) status = count_ended(contents);
    return status;
  });
  if (!read.ok()) return read;
  last_job_seq_ = contents.meta.last_job_seq();
  return contents;
}

absl::Status SqliteWriter::read_meta(internal::StoreMeta& meta) {
  absl::StatusOr<SqliteStatement> rows = database_->prepare("SELECT name, value FROM meta");
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->step();
  for (; row.ok() && *row; row = rows->step()) {
    const std::string_view name = rows->text(0);
    const auto number = static_cast<uint64_t>(rows->integer(1));
    if (name == "epoch") meta.set_epoch(number);
    if (name == "last_job_seq") meta.set_last_job_seq(number);
    if (name == "last_event_seq") meta.set_last_event_seq(number);
    if (name == "cluster_id") meta.set_cluster_id(std::string(rows->text(1)));
  }
  if (!row.ok()) return row.status();
  const absl::StatusOr<int64_t> version = database_->query_integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  meta.set_schema_version(static_cast<uint32_t>(*version));
  return absl::OkStatus();
}

absl::Status SqliteWriter::raise_epoch(internal::StoreMeta& meta) {
  meta.set_epoch(meta.epoch() + 1);
  const absl::Status written = put_meta("epoch", static_cast<int64_t>(meta.epoch()));
  if (!written.ok() || !meta.cluster_id().empty()) return written;
  meta.set_cluster_id(new_cluster_id());
  absl::StatusOr<SqliteStatement> put =
      database_->prepare("INSERT INTO meta (name, value) VALUES ('cluster_id', ?1)");
  if (!put.ok()) return put.status();
  return put->bind_text(1, meta.cluster_id()).run();
}

absl::Status SqliteWriter::read_jobs(StoreContents& contents) {
  const absl::StatusOr<int64_t> live =
      database_->query_integer("SELECT count(*) FROM jobs INDEXED BY jobs_live WHERE state < 4");
  if (!live.ok()) return live.status();
  contents.live_jobs.reserve(static_cast<size_t>(*live));
  std::vector<std::string> damaged;
  {
    absl::StatusOr<SqliteStatement> rows = database_->prepare(
        "SELECT job_id, record FROM jobs INDEXED BY jobs_live WHERE state < 4"
        " ORDER BY seq, task_index");
    if (!rows.ok()) return rows.status();
    absl::StatusOr<bool> row = rows->step();
    for (; row.ok() && *row; row = rows->step()) {
      v1::Job& job = contents.live_jobs.emplace_back();
      if (parse_sealed(rows->blob(1), job) && job.job_id() == rows->text(0)) {
        const std::unique_ptr<std::string> dropped(job.release_pending_reason());
      } else {
        damaged.emplace_back(rows->text(0));
        contents.live_jobs.pop_back();
      }
    }
    if (!row.ok()) return row.status();
  }
  for (const std::string& key : damaged) {
    const absl::Status moved = set_aside(contents, "jobs", key);
    if (!moved.ok()) return moved;
  }
  return absl::OkStatus();
}

absl::Status SqliteWriter::read_recorded_tasks(StoreContents& contents) {
  for (const v1::Job& job : contents.live_jobs) {
    if (!has_tasks(job)) continue;
    auto tasks = recorded_tasks_of(*database_, job.job_id());
    if (!tasks.ok()) return tasks.status();
    contents.recorded_tasks[job.job_id()] = *std::move(tasks);
  }
  return absl::OkStatus();
}

absl::Status SqliteWriter::read_workers(StoreContents& contents) {
  std::vector<std::string> damaged;
  {
    absl::StatusOr<SqliteStatement> rows =
        database_->prepare("SELECT worker_id, record FROM workers ORDER BY worker_id");
    if (!rows.ok()) return rows.status();
    absl::StatusOr<bool> row = rows->step();
    for (; row.ok() && *row; row = rows->step()) {
      internal::WorkerRecord worker;
      if (parse_sealed(rows->blob(1), worker) && worker.worker().worker_id() == rows->text(0)) {
        contents.workers.push_back(std::move(worker));
      } else {
        damaged.emplace_back(rows->text(0));
      }
    }
    if (!row.ok()) return row.status();
  }
  for (const std::string& key : damaged) {
    const absl::Status moved = set_aside(contents, "workers", key);
    if (!moved.ok()) return moved;
  }
  return absl::OkStatus();
}

absl::Status SqliteWriter::read_named(StoreContents& contents) {
  std::vector<std::string> damaged;
  absl::Status status = read_named_records(*database_, "schedules", contents.schedules, damaged);
  for (const std::string& name : std::exchange(damaged, {})) {
    if (status.ok()) status = set_aside(contents, "schedules", name);
  }
  if (status.ok()) status = read_named_records(*database_, "queues", contents.queues, damaged);
  for (const std::string& name : damaged) {
    if (status.ok()) status = set_aside(contents, "queues", name);
  }
  return status;
}

absl::Status SqliteWriter::count_ended(StoreContents& contents) {
  absl::StatusOr<SqliteStatement> rows = database_->prepare(
      "SELECT state, count(*) FROM jobs INDEXED BY jobs_by_state"
      " WHERE array_id IS NULL AND state >= 4 GROUP BY state");
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->step();
  for (; row.ok() && *row; row = rows->step()) {
    contents.ended_counts[static_cast<v1::Job::State>(rows->integer(0))] =
        static_cast<uint64_t>(rows->integer(1));
  }
  return row.status();
}

absl::Status SqliteWriter::set_aside(StoreContents& contents, const std::string& table,
                                     const std::string& key) {
  const char* column = key_column_of(table);
  absl::StatusOr<SqliteStatement> copy = database_->prepare(
      absl::StrCat("INSERT INTO set_aside (source, key, why, record) SELECT '", table, "', ",
                   column, ", 'damaged', record FROM ", table, " WHERE ", column, " = ?1"));
  if (!copy.ok()) return copy.status();
  const absl::Status copied = copy->bind_text(1, key).run();
  if (!copied.ok()) return copied;
  contents.set_aside.push_back(absl::StrCat(table, " ", key, ": is damaged"));
  return erase(table, key);
}

absl::Status SqliteWriter::commit(absl::Span<const StoreBatch> batches) {
  const bool nothing = std::all_of(batches.begin(), batches.end(),
                                   [](const StoreBatch& batch) { return batch.empty(); });
  if (nothing) return absl::OkStatus();
  const absl::Status bounded = bound_log();
  if (!bounded.ok()) return bounded;
  uint64_t last_job_seq = last_job_seq_;
  for (const StoreBatch& batch : batches) {
    for (const v1::Job& job : batch.put_jobs) last_job_seq = std::max(last_job_seq, job.seq());
  }
  const absl::Status committed = in_transaction([this, batches, last_job_seq]() -> absl::Status {
    const absl::Status written = write(batches);
    if (!written.ok() || last_job_seq == last_job_seq_) return written;
    return put_meta("last_job_seq", static_cast<int64_t>(last_job_seq));
  });
  if (committed.ok()) last_job_seq_ = last_job_seq;
  return committed;
}

absl::Status SqliteWriter::write(absl::Span<const StoreBatch> batches) {
  absl::Status status = write_jobs(batches);
  for (const StoreBatch& batch : batches) {
    if (status.ok()) status = write_members(batch);
    if (status.ok()) status = write_named_records(*database_, batch);
    if (status.ok()) status = write_keys(batch);
    for (const DoomedOutput& gone : batch.delete_doomed) {
      if (status.ok()) status = sweeper_.forget_doomed(gone);
    }
  }
  if (status.ok()) status = write_events(batches);
  for (const StoreBatch& batch : batches) {
    if (status.ok() && batch.upkeep) status = sweeper_.sweep(*batch.upkeep);
  }
  return status;
}

absl::Status SqliteWriter::write_members(const StoreBatch& batch) {
  absl::Status status;
  for (const internal::WorkerRecord& worker : batch.put_workers) {
    if (status.ok()) status = put_worker(worker);
  }
  for (const std::string& worker_id : batch.delete_workers) {
    if (status.ok()) status = erase("workers", worker_id);
    if (status.ok()) status = erase("doomed", worker_id);
  }
  return status;
}

absl::Status SqliteWriter::write_keys(const StoreBatch& batch) {
  absl::Status status;
  for (const internal::IdempotencyRecord& record : batch.put_idempotency) {
    if (status.ok()) status = put_idempotency(record);
  }
  for (const std::string& key : batch.delete_idempotency) {
    if (status.ok()) status = erase_idempotency(key);
  }
  return status;
}

absl::Status SqliteWriter::write_events(absl::Span<const StoreBatch> batches) {
  uint64_t last = 0;
  for (const StoreBatch& batch : batches) {
    for (const v1::Event& event : batch.put_events) {
      auto put = database_->prepare("INSERT OR REPLACE INTO events (seq, record) VALUES (?1, ?2)");
      if (!put.ok()) return put.status();
      const absl::Status written =
          put->bind(1, static_cast<int64_t>(event.seq())).bind_blob(2, seal(event)).run();
      if (!written.ok()) return written;
      last = event.seq();
    }
  }
  if (last == 0) return absl::OkStatus();
  if (last > max_events_) {
    auto drop = database_->prepare("DELETE FROM events WHERE seq <= ?1");
    if (!drop.ok()) return drop.status();
    const absl::Status dropped = drop->bind(1, static_cast<int64_t>(last - max_events_)).run();
    if (!dropped.ok()) return dropped;
  }
  return put_meta("last_event_seq", static_cast<int64_t>(last));
}

// A busy commit holds several states of one job; only the last is worth a write.
absl::Status SqliteWriter::write_jobs(absl::Span<const StoreBatch> batches) {
  enum class Fate { kPut, kDelete, kForget };
  struct Last {
    Fate fate;
    const v1::Job* job;
  };
  absl::flat_hash_map<absl::string_view, Last> last;
  for (const StoreBatch& batch : batches) {
    for (const v1::Job& job : batch.put_jobs) {
      Last& known = last[job.job_id()];
      known = {known.fate == Fate::kDelete ? Fate::kDelete : Fate::kPut, &job};
    }
    for (const std::string& job_id : batch.delete_jobs) last[job_id].fate = Fate::kDelete;
    for (const std::string& job_id : batch.forget_jobs) last[job_id].fate = Fate::kForget;
  }
  for (const auto& [job_id, what] : last) {
    absl::Status written;
    // One that ended and is deleted in the same commit is written first: its output is known by it.
    if (what.fate != Fate::kForget && what.job != nullptr) written = put_job(*database_, *what.job);
    if (written.ok() && what.fate == Fate::kDelete) written = sweeper_.erase(std::string(job_id));
    if (written.ok() && what.fate == Fate::kForget) written = sweeper_.forget(std::string(job_id));
    if (!written.ok()) return written;
  }
  return absl::OkStatus();
}

absl::Status SqliteWriter::put_worker(const internal::WorkerRecord& record) {
  absl::StatusOr<SqliteStatement> put =
      database_->prepare("INSERT OR REPLACE INTO workers (worker_id, record) VALUES (?1, ?2)");
  if (!put.ok()) return put.status();
  return put->bind_text(1, record.worker().worker_id()).bind_blob(2, seal(record)).run();
}

absl::Status SqliteWriter::put_idempotency(const internal::IdempotencyRecord& record) {
  absl::StatusOr<SqliteStatement> put = database_->prepare(
      "INSERT OR REPLACE INTO idempotency (key, time_ns, subject_id, job_gone, record)"
      " VALUES (?1, ?2, ?3, NOT EXISTS (SELECT 1 FROM jobs WHERE job_id = ?3), ?4)");
  if (!put.ok()) return put.status();
  return put->bind_blob(1, record.key())
      .bind(2, nanoseconds(record.time()))
      .bind_text(3, record.subject_id())
      .bind_blob(4, seal(record))
      .run();
}

absl::Status SqliteWriter::erase_idempotency(const std::string& key) {
  absl::StatusOr<SqliteStatement> statement =
      database_->prepare("DELETE FROM idempotency WHERE key = ?1");
  if (!statement.ok()) return statement.status();
  return statement->bind_blob(1, key).run();
}

absl::Status SqliteWriter::erase(const std::string& table, const std::string& key) {
  const char* column = key_column_of(table);
  absl::StatusOr<SqliteStatement> statement =
      database_->prepare(absl::StrCat("DELETE FROM ", table, " WHERE ", column, " = ?1"));
  if (!statement.ok()) return statement.status();
  return statement->bind_text(1, key).run();
}

absl::Status SqliteWriter::put_meta(const std::string& name, int64_t value) {
  absl::StatusOr<SqliteStatement> put =
      database_->prepare("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)");
  if (!put.ok()) return put.status();
  return put->bind_text(1, name).bind(2, value).run();
}

}  // namespace clusterd
