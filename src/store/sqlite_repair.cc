#include "store/sqlite_repair.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "store/file_lock.h"
#include "store/sealed_record.h"
#include "store/sqlite_import.h"
#include "store/sqlite_tables.h"
#include "store/wal_damage.h"

namespace clusterd {
namespace {

constexpr size_t kMostLosses = 1'000;  // told; more are summed up
constexpr int kNarrowSteps = 1'000;    // a row each, before the steps grow

// Reads a damaged store into another.
class Salvage {
 public:
  Salvage(SqliteDatabase& database, SqliteImport& import) : database_(database), import_(import) {}

  absl::Status run() {
    auto meta = read_meta(database_);
    if (!meta.ok() && !is_damage(meta.status())) return meta.status();
    if (meta.ok()) meta_ = *std::move(meta);
    for (const SqliteTable& table : sqlite_tables()) {
      if (auto status = save(table); !status.ok()) return status;
    }
    if (auto status = save_doomed(); !status.ok()) return status;
    if (auto status = save_set_aside(); !status.ok()) return status;
    if (meta_.cluster_id().empty()) lose("meta cluster_id: the store gets another");
    return import_.add({ArchiveKind::kMeta, meta_.SerializeAsString()});
  }

  std::vector<std::string> take_losses() {
    if (untold_ > 0) losses_.push_back(absl::StrCat("and ", untold_, " more"));
    return std::move(losses_);
  }

 private:
  using Row = SqliteStatement;

  void lose(std::string what) {
    if (losses_.size() < kMostLosses) {
      losses_.push_back(std::move(what));
    } else {
      ++untold_;
    }
  }

  absl::Status save(const SqliteTable& table) {
    return walk(absl::StrCat("SELECT rowid, ", table.key, ", record FROM ", table.name), table.name,
                [&](const Row& row) { return save(table, row.text(1), row.blob(2)); });
  }

  absl::Status save(const SqliteTable& table, std::string_view key, std::string_view record) {
    const auto found = key_in(table.kind, record);
    if (found && *found == key) {
      const std::string_view message = *unseal(record);
      note_numbers(table.kind, message);
      return import_.add({table.kind, std::string(message)});
    }
    // A key of a caller's may be a secret.
    const std::string shown(table.kind == ArchiveKind::kIdempotency ? "" : key);
    lose(absl::StrCat(table.name, " ", shown,
                      found ? ": the record is another's" : ": the record is damaged"));
    return import_.add(
        {ArchiveKind::kDamaged, std::string(table.name) + '\0' + std::string(record)});
  }

  void note_numbers(ArchiveKind kind, std::string_view message) {
    const auto size = static_cast<int>(message.size());
    if (kind == ArchiveKind::kJob && job_.ParseFromArray(message.data(), size)) {
      meta_.set_last_job_seq(std::max(meta_.last_job_seq(), job_.seq()));
    } else if (kind == ArchiveKind::kEvent && event_.ParseFromArray(message.data(), size)) {
      meta_.set_last_event_seq(std::max(meta_.last_event_seq(), event_.seq()));
    }
  }

  // Visits each row that can be read, by row id; where a page is damaged, goes on behind it.
  template <typename Visit>
  absl::Status walk(const std::string& select, const char* table, Visit visit) {
    constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
    const std::string query = select + " WHERE rowid >= ?1 ORDER BY rowid";
    int64_t from = std::numeric_limits<int64_t>::min();
    int64_t step = 1;
    int64_t failed = 0;
    int misses = 0;
    while (true) {
      absl::Status status;
      {
        auto rows = database_.prepare(query);
        auto row = rows.ok() ? rows->bind(1, from).step() : absl::StatusOr<bool>(rows.status());
        const bool lands_far = step > 1 && row.ok();
        for (; !lands_far && row.ok() && *row; row = rows->step()) {
          const int64_t id = rows->integer(0);
          if (id < from) continue;  // a damaged page's
          if (std::exchange(misses, 0) > 0) {
            lose(absl::StrCat(table, ": rows before row ", id, " are on a damaged page"));
          }
          if (auto visited = visit(*rows); !visited.ok()) return visited;
          if (id == kLast) return absl::OkStatus();
          from = id + 1;
        }
        if (row.ok() && !lands_far) {
          if (misses > 0) lose(absl::StrCat(table, ": the last rows are on a damaged page"));
          return absl::OkStatus();
        }
        status = row.status();
      }
      if (status.ok()) {  // steps were long: rows between the last two may be sound
        from = first_readable(query, failed, from);
        step = 1;
        continue;
      }
      if (!is_damage(status)) return status;
      failed = from = std::max<int64_t>(from, 0);  // SQLite itself gives none below 1
      if (++misses > kNarrowSteps) step *= 2;
      if (from > kLast / 2 - step) {
        lose(absl::StrCat(table, ": the last rows are on a damaged page"));
        return absl::OkStatus();
      }
      from += step;
    }
  }

  // From `failed` on nothing can be read, from `read` on it can.
  int64_t first_readable(const std::string& query, int64_t failed, int64_t read) {
    while (read - failed > 1) {
      const int64_t middle = failed + (read - failed) / 2;
      auto rows = database_.prepare(query);
      (rows.ok() && rows->bind(1, middle).step().ok() ? read : failed) = middle;
    }
    return read;
  }

  // Has no row ids: from the one end, and where that meets damage from the other.
  absl::Status save_doomed() {
    const auto add = [&](std::string_view worker_id, std::string_view job_id) {
      return import_.add(
          {ArchiveKind::kDoomed, std::string(worker_id) + '\0' + std::string(job_id)});
    };
    const std::string query = "SELECT worker_id, job_id FROM doomed ORDER BY worker_id, job_id";
    absl::Status status = for_each_row(database_, query, add);
    if (!is_damage(status)) return status;
    lose("doomed: a page is damaged; output of some deleted jobs stays on its workers");
    status = for_each_row(
        database_, "SELECT worker_id, job_id FROM doomed ORDER BY worker_id DESC, job_id DESC",
        add);
    return is_damage(status) ? absl::OkStatus() : status;
  }

  absl::Status save_set_aside() {
    return walk("SELECT rowid, source, record FROM set_aside", "set_aside", [&](const Row& row) {
      return import_.add(
          {ArchiveKind::kDamaged, std::string(row.text(1)) + '\0' + std::string(row.blob(2))});
    });
  }

  SqliteDatabase& database_;
  SqliteImport& import_;
  internal::StoreMeta meta_;
  v1::Job job_;
  v1::Event event_;
  std::vector<std::string> losses_;
  uint64_t untold_ = 0;
};

// Takes what is in the write-ahead log into the file, which then is all of the store.
absl::Status settle_log(const std::string& path) {
  {
    auto database = SqliteDatabase::open(path, SqliteDatabase::Access::kReadWrite, "");
    if (!database.ok()) return database.status();
    auto status = (*database)->execute("PRAGMA writable_schema = ON");  // as open_to_read()
    if (status.ok()) {
      status = (*database)->query_integer("PRAGMA wal_checkpoint(TRUNCATE)").status();
    }
    if (!status.ok()) return status;
  }
  struct stat log {};
  if (::stat((path + "-wal").c_str(), &log) != 0 || log.st_size == 0) return absl::OkStatus();
  return absl::UnavailableError(path + "-wal cannot be taken into " + path);
}

// Tasks without their array belong to nothing. Those that have ended are swept as those of a
// deleted array, with their output.
absl::Status drop_orphans(const std::string& path, std::vector<std::string>& losses) {
  auto database = SqliteDatabase::open(path, SqliteDatabase::Access::kReadWrite, "");
  if (!database.ok()) return database.status();
  const std::string orphans =
      "FROM jobs WHERE array_id IS NOT NULL AND array_id NOT IN (SELECT job_id FROM jobs)";
  const auto count = (*database)->query_integer("SELECT count(*) " + orphans);
  if (!count.ok()) return count.status();
  if (*count == 0) return absl::OkStatus();
  losses.push_back(absl::StrCat("jobs: ", *count, " tasks, whose array is lost or was deleted"));
  return (*database)->execute("DELETE " + orphans + " AND state < 4;" +
                              "INSERT OR IGNORE INTO sweeps SELECT DISTINCT array_id " + orphans +
                              "; PRAGMA wal_checkpoint(TRUNCATE)");
}

// Gives the file a second name beside its own.
absl::StatusOr<std::string> keep_aside(const std::string& path) {
  auto aside = free_damaged_name(path);
  if (aside.ok() && ::link(path.c_str(), aside->c_str()) != 0) {
    return absl::ErrnoToStatus(errno, *aside);
  }
  return aside;
}

absl::StatusOr<StoreRepair> make_anew(const std::string& path, const std::string& fresh,
                                      SqliteImport& import) {
  auto database = open_to_read(path);
  if (!database.ok()) return database.status();
  if (auto status = import.begin(); !status.ok()) return status;
  Salvage salvage(**database, import);
  if (auto status = salvage.run(); !status.ok()) return status;
  if (auto status = import.finish(); !status.ok()) return status;
  StoreRepair repair{.counts = {}, .losses = salvage.take_losses(), .damaged_file = ""};
  if (auto status = drop_orphans(fresh, repair.losses); !status.ok()) return status;
  const auto check = check_sqlite(fresh);
  if (!check.ok()) return check.status();
  if (!check->faults.empty()) {
    return absl::InternalError("the store made anew has a fault: " + check->faults.front());
  }
  repair.counts = check->counts;
  return repair;
}

}  // namespace

absl::StatusOr<StoreRepair> repair_sqlite(const std::string& path) {
  if (::access(path.c_str(), R_OK | W_OK) != 0) return absl::ErrnoToStatus(errno, path);
  const auto lock = FileLock::acquire(path + ".lock");
  if (!lock.ok()) return lock.status();
  auto lost_commits = keep_damaged_log(path);
  if (!lost_commits.ok()) return lost_commits.status();
  if (auto status = settle_log(path); !status.ok()) return status;
  const std::string fresh = path + ".repairing";
  SqliteImport import(fresh);
  auto repair = make_anew(path, fresh, import);
  if (repair.ok()) {
    // Of those who only read; what they leave would be taken for the new file's.
    for (const char* end : {"-wal", "-shm"}) (void)::unlink((path + end).c_str());
    auto aside = keep_aside(path);
    if (!aside.ok()) {
      repair = aside.status();
    } else if (::rename(fresh.c_str(), path.c_str()) != 0) {
      repair = absl::ErrnoToStatus(errno, path);
    } else {
      repair->damaged_file = *std::move(aside);
      if (!lost_commits->empty()) repair->losses.push_back(*std::move(lost_commits));
    }
  }
  import.remove();
  return repair;
}

}  // namespace clusterd
