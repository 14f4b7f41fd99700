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
#include "store/job_query.h"
#include "store/sqlite_schema.h"

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
  if (message.ParseFromArray(record.data(), static_cast<int>(record.size()))) return message;
  return absl::DataLossError(absl::StrCat("the stored record of ", what, " does not parse"));
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
  return std::unique_ptr<SqliteStore>(new SqliteStore(
      path, std::move(*lock), std::move(*writer), std::move(*checkpointer), std::move(readers)));
}

SqliteStore::SqliteStore(std::string path, FileLock lock, std::unique_ptr<SqliteDatabase> writer,
                         std::unique_ptr<SqliteDatabase> checkpointer,
                         std::vector<std::unique_ptr<SqliteDatabase>> readers)
    : path_(std::move(path)),
      lock_(std::move(lock)),
      checkpointer_(std::move(checkpointer)),
      readers_(std::move(readers)),
      writer_(std::move(writer), [this](int pages) { checkpointer_.on_log_growth(pages); }) {}

absl::StatusOr<StoreContents> SqliteStore::begin_term() {
  (void)checkpointer_.take_error();  // of the term that ended with it
  return writer_.begin_term();
}

absl::Status SqliteStore::commit(absl::Span<const StoreBatch> batches) {
  const absl::Status checkpoint = checkpointer_.take_error();
  if (!checkpoint.ok()) return checkpoint;
  return writer_.commit(batches);
}

absl::StatusOr<v1::Job> SqliteStore::find_job(const std::string& job_id) {
  absl::StatusOr<v1::Job> job = absl::NotFoundError(absl::StrCat("job ", job_id, " not found"));
  const absl::Status read = readers_.with_snapshot([&job_id, &job](SqliteDatabase& database) {
    auto statement = database.prepare("SELECT record FROM jobs WHERE job_id = ?1");
    if (!statement.ok()) return statement.status();
    const absl::StatusOr<bool> row = statement->bind_text(1, job_id).step();
    if (row.ok() && *row) job = parse<v1::Job>(statement->blob(0), "job " + job_id);
    return row.status();
  });
  if (!read.ok()) return read;
  return job;
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
