#include "store/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_tasks.h"
#include "store/job_query.h"
#include "store/sealed_record.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_sweeper.h"
#include "store/task_page.h"
#include "store/wal_damage.h"

namespace clusterd {
namespace {

constexpr mode_t kOwnerOnly = 0600;

// SQLite gives its log and index files the mode of the main file, so that one must be right first.
absl::Status make_private_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly);
  const bool done = descriptor >= 0 && ::fchmod(descriptor, kOwnerOnly) == 0;
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (done) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("store ", path, ": ", std::strerror(error)));
}

template <typename Message>
absl::StatusOr<Message> parse(std::string_view record, const std::string& what) {
  Message message;
  if (parse_sealed(record, message)) return message;
  return absl::DataLossError(absl::StrCat("the stored record of ", what, " is damaged"));
}

absl::StatusOr<v1::Job> stored_job(SqliteDatabase& database, const std::string& job_id) {
  auto found = database.prepare("SELECT record FROM jobs WHERE job_id = ?1");
  if (!found.ok()) return found.status();
  const absl::StatusOr<bool> row = found->bind_text(1, job_id).step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::NotFoundError(absl::StrCat("job ", job_id, " not found"));
  return parse<v1::Job>(found->blob(0), "job " + job_id);
}

// A task of an array that has no record is made from the array; one whose array has been deleted
// is gone, even while its record waits to be swept.
absl::StatusOr<v1::Job> job_or_task(SqliteDatabase& database, const std::string& job_id) {
  const auto parts = split_task_id(job_id);
  if (!parts) return stored_job(database, job_id);
  const absl::StatusOr<v1::Job> array = stored_job(database, parts->first);
  if (!array.ok()) return array.status();
  absl::StatusOr<v1::Job> task = stored_job(database, job_id);
  const bool unrecorded = absl::IsNotFound(task.status()) && array->spec().has_array() &&
                          task_position(array->spec().array(), parts->second).has_value();
  if (unrecorded) return unstarted_task(*array, parts->second);
  return task;
}

absl::Status add_records(SqliteDatabase& database, const v1::ListTasksRequest& request,
                         std::optional<int> state, TaskPage& page) {
  const std::string condition = state ? " AND state = ?3" : "";
  const std::string index = state ? "jobs_by_array_state" : "jobs_by_array";
  auto found = database.prepare(absl::StrCat("SELECT task_index, record FROM jobs INDEXED BY ",
                                             index, " WHERE array_id = ?1 AND task_index >= ?2",
                                             condition, " ORDER BY task_index"));
  if (!found.ok()) return found.status();
  found->bind_text(1, request.job_id()).bind(2, page.next_index());
  if (state) found->bind(3, *state);
  absl::StatusOr<bool> row = found->step();
  for (; row.ok() && *row && !page.is_full(); row = found->step()) {
    const auto task = parse<v1::Job>(found->blob(1), "a task");
    if (task.ok()) page.add(static_cast<uint32_t>(found->integer(0)), *task);
  }
  return row.status();
}

absl::StatusOr<v1::ListJobsResponse> page_of_tasks(SqliteDatabase& database,
                                                   const v1::ListTasksRequest& request) {
  const absl::StatusOr<v1::Job> array = stored_job(database, request.job_id());
  if (!array.ok()) return array.status();
  TaskPage page(*array, request);
  if (!page.status().ok()) return page.status();
  // With one state alone the index leads to its tasks; else they are gone through by index.
  std::optional<int> only;
  if (request.state_size() == 1 && request.state(0) != v1::Job::STATE_UNSPECIFIED &&
      !page.wants_unrecorded()) {
    only = request.state(0);
  }
  const absl::Status added = add_records(database, request, only, page);
  if (!added.ok()) return added;
  return page.finish();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  return open(path, Options());
}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path,
                                                               const Options& options) {
  using Access = SqliteDatabase::Access;
  absl::StatusOr<FileLock> lock = FileLock::acquire(path + ".lock");
  if (!lock.ok()) return lock.status();
  auto log_damage = keep_damaged_log(path);
  if (!log_damage.ok()) return log_damage.status();
  const absl::Status made = make_private_file(path);
  if (!made.ok()) return made;
  auto writer = SqliteDatabase::open(path, Access::kReadWrite, options.vfs);
  if (!writer.ok()) return writer.status();
  const absl::Status prepared = prepare_schema(**writer);
  if (!prepared.ok()) {
    return absl::Status(prepared.code(), absl::StrCat(path, ": ", prepared.message()));
  }
  auto checkpointer = SqliteDatabase::open(path, Access::kReadWrite, options.vfs);
  if (!checkpointer.ok()) return checkpointer.status();
  std::vector<std::unique_ptr<SqliteDatabase>> readers;
  for (int i = 0; i < options.readers; ++i) {
    auto reader = SqliteDatabase::open(path, Access::kReadOnly, options.vfs);
    if (!reader.ok()) return reader.status();
    readers.push_back(std::move(*reader));
  }
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(path, *std::move(log_damage), options.max_events, std::move(*lock),
                      std::move(*writer), std::move(*checkpointer), std::move(readers)));
}

SqliteStore::SqliteStore(std::string path, std::string log_damage, uint64_t max_events,
                         FileLock lock, std::unique_ptr<SqliteDatabase> writer,
                         std::unique_ptr<SqliteDatabase> checkpointer,
                         std::vector<std::unique_ptr<SqliteDatabase>> readers)
    : path_(std::move(path)),
      log_damage_(std::move(log_damage)),
      lock_(std::move(lock)),
      checkpointer_(std::move(checkpointer)),
      readers_(std::move(readers)),
      writer_(std::move(writer), max_events,
              [this](int pages) { checkpointer_.on_log_growth(pages); }) {}

absl::StatusOr<StoreContents> SqliteStore::begin_term() {
  (void)checkpointer_.take_error();  // of the term that ended with it
  auto contents = writer_.begin_term();
  if (contents.ok() && !log_damage_.empty()) {
    contents->set_aside.push_back(std::exchange(log_damage_, ""));
  }
  return contents;
}

absl::Status SqliteStore::commit(absl::Span<const StoreBatch> batches) {
  const absl::Status checkpoint = checkpointer_.take_error();
  if (!checkpoint.ok()) return checkpoint;
  return writer_.commit(batches);
}

absl::StatusOr<v1::Job> SqliteStore::find_job(const std::string& job_id) {
  absl::StatusOr<v1::Job> job;
  const absl::Status read = readers_.with_snapshot([&job_id, &job](SqliteDatabase& database) {
    job = job_or_task(database, job_id);
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  return job;
}

absl::StatusOr<RecordedTasks> SqliteStore::recorded_tasks(const std::string& job_id) {
  absl::StatusOr<RecordedTasks> tasks;
  const absl::Status read = readers_.with_snapshot([&job_id, &tasks](SqliteDatabase& database) {
    tasks = recorded_tasks_of(database, job_id);
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  return tasks;
}

absl::StatusOr<v1::ListJobsResponse> SqliteStore::list_tasks(const v1::ListTasksRequest& request) {
  absl::StatusOr<v1::ListJobsResponse> page;
  const absl::Status read = readers_.with_snapshot([&request, &page](SqliteDatabase& database) {
    page = page_of_tasks(database, request);
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  return page;
}

absl::StatusOr<std::vector<v1::Event>> SqliteStore::read_events(uint64_t since, size_t limit) {
  std::vector<v1::Event> events;
  const absl::Status read = readers_.with_snapshot([&](SqliteDatabase& database) {
    auto oldest = database.query_integer("SELECT coalesce(min(seq), 0) FROM events");
    if (!oldest.ok()) return oldest.status();
    if (since + 1 < static_cast<uint64_t>(*oldest)) {
      return absl::OutOfRangeError(events_dropped(since, static_cast<uint64_t>(*oldest)));
    }
    auto found = database.prepare("SELECT record FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    if (!found.ok()) return found.status();
    absl::StatusOr<bool> row =
        found->bind(1, static_cast<int64_t>(since)).bind(2, static_cast<int64_t>(limit)).step();
    for (; row.ok() && *row; row = found->step()) {
      auto event = parse<v1::Event>(found->blob(0), "an event");
      if (!event.ok()) return event.status();
      events.push_back(*std::move(event));
    }
    return row.status();
  });
  if (!read.ok()) return read;
  return events;
}

absl::StatusOr<std::vector<std::string>> SqliteStore::find_expired(WallTime before,
                                                                   uint64_t max_jobs,
                                                                   size_t limit) {
  std::vector<std::string> ids;
  const absl::Status read = readers_.with_snapshot([&](SqliteDatabase& database) {
    const auto ended = database.query_integer(
        "SELECT count(*) FROM jobs INDEXED BY jobs_ended WHERE array_id IS NULL AND state >= 4");
    if (!ended.ok()) return ended.status();
    const auto count = static_cast<uint64_t>(*ended);
    uint64_t beyond = count > max_jobs ? count - max_jobs : 0;
    auto found = database.prepare(
        "SELECT job_id, coalesce(end_time_ns, 0) FROM jobs INDEXED BY jobs_ended"
        " WHERE array_id IS NULL AND state >= 4 ORDER BY end_time_ns LIMIT ?1");
    if (!found.ok()) return found.status();
    absl::StatusOr<bool> row = found->bind(1, static_cast<int64_t>(limit)).step();
    for (; row.ok() && *row; row = found->step()) {
      const bool old = found->integer(1) < before.time_since_epoch().count();
      if (!old && beyond == 0) break;
      if (beyond > 0) --beyond;
      ids.emplace_back(found->text(0));
    }
    return row.status();
  });
  if (!read.ok()) return read;
  return ids;
}

absl::StatusOr<std::vector<std::string>> SqliteStore::find_doomed(const std::string& worker_id,
                                                                  size_t limit) {
  std::vector<std::string> ids;
  const absl::Status read = readers_.with_snapshot([&](SqliteDatabase& database) {
    auto found = database.prepare("SELECT job_id FROM doomed WHERE worker_id = ?1 LIMIT ?2");
    if (!found.ok()) return found.status();
    absl::StatusOr<bool> row =
        found->bind_text(1, worker_id).bind(2, static_cast<int64_t>(limit)).step();
    for (; row.ok() && *row; row = found->step()) ids.emplace_back(found->text(0));
    return row.status();
  });
  if (!read.ok()) return read;
  return ids;
}

absl::StatusOr<v1::ListJobsResponse> SqliteStore::list_jobs(const v1::ListJobsRequest& request) {
  absl::StatusOr<v1::ListJobsResponse> page = v1::ListJobsResponse();
  const absl::Status read = readers_.with_snapshot([&request, &page](SqliteDatabase& database) {
    page = JobQuery(database, request).run();
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  return page;
}

absl::StatusOr<std::optional<internal::IdempotencyRecord>> SqliteStore::find_idempotency(
    const std::string& key) {
  std::optional<internal::IdempotencyRecord> found;
  const absl::Status read = readers_.with_snapshot([&key, &found](SqliteDatabase& database) {
    auto statement = database.prepare("SELECT record FROM idempotency WHERE key = ?1");
    if (!statement.ok()) return statement.status();
    const absl::StatusOr<bool> row = statement->bind_blob(1, key).step();
    if (!row.ok() || !*row) return row.status();
    auto record = parse<internal::IdempotencyRecord>(statement->blob(0), "an idempotency key");
    if (!record.ok()) return record.status();
    found = *std::move(record);
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  return found;
}

absl::StatusOr<uint64_t> SqliteStore::free_bytes() {
  struct statvfs system {};
  if (::statvfs(path_.c_str(), &system) != 0) {
    return absl::UnavailableError(absl::StrCat("store ", path_, ": ", std::strerror(errno)));
  }
  return static_cast<uint64_t>(system.f_bavail) * system.f_frsize;
}

}  // namespace clusterd
