#include "store/sqlite_archive.h"

#include <chrono>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "store/sealed_record.h"
#include "store/sqlite_job_rows.h"
#include "store/sqlite_tables.h"
#include "store/store_archive.h"
#include "store/wal_damage.h"

namespace clusterd {
namespace {

constexpr size_t kMostFaults = 100;
constexpr char kDamaged[] = "damaged";
constexpr auto kBetweenLooks = std::chrono::milliseconds(200);

// What SQLite finds wrong with its pages and indexes.
absl::Status check_pages(SqliteDatabase& database, StoreCheck& check) {
  auto rows = database.prepare(absl::StrCat("PRAGMA integrity_check(", kMostFaults, ")"));
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->step();
  for (; row.ok() && *row; row = rows->step()) {
    if (rows->text(0) != "ok") check.faults.emplace_back(rows->text(0));
  }
  return is_damage(row.status()) ? absl::OkStatus() : row.status();
}

// A job that its labels do not lead to would be left out of lists.
absl::Status check_labels(SqliteDatabase& database, std::string_view record, StoreCheck& check) {
  v1::Job job;
  if (!parse_sealed(record, job)) return absl::OkStatus();
  const auto is_found = is_found_by_labels(database, job);
  if (!is_found.ok()) return is_found.status();
  if (!*is_found && check.faults.size() < kMostFaults) {
    check.faults.push_back(absl::StrCat("jobs ", job.job_id(), ": a label does not lead to it"));
  }
  return absl::OkStatus();
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
  for (const SqliteTable& table : sqlite_tables()) {
    if (!status.ok()) return status;
    counts[table.name] = 0;
    const auto add = [&](std::string_view, std::string_view record) {
      const bool is_sound = key_in(table.kind, record).has_value();
      ++counts[is_sound ? table.name : kDamaged];
      if (is_sound) return writer.add(table.kind, *unseal(record));
      return writer.add(ArchiveKind::kDamaged,
                        std::string(table.name) + '\0' + std::string(record));
    };
    status = for_each_row(**database, rows_of(table), add);
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
    status = for_each_row(**database, "SELECT worker_id, job_id FROM doomed", add_doomed);
  }
  if (status.ok()) {
    status = for_each_row(**database, "SELECT source, record FROM set_aside", add_set_aside);
  }
  if (status.ok()) status = writer.finish();
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<StoreCheck> check_sqlite(const std::string& path) {
  auto database = open_to_read(path);
  if (!database.ok()) return database.status();
  StoreCheck check;
  if (auto status = check_pages(**database, check); !status.ok()) return status;
  const auto log = find_wal_damage(path + "-wal");
  if (!log.ok()) return log.status();
  if (*log) {
    // A scheduler may have been writing it: what is damaged stays as it is.
    std::this_thread::sleep_for(kBetweenLooks);
    const auto again = find_wal_damage(path + "-wal");
    if (!again.ok()) return again.status();
    if (*again == *log) check.faults.push_back(text_of(**log));
  }
  for (const SqliteTable& table : sqlite_tables()) {
    check.counts[table.name] = 0;
    const auto look = [&](std::string_view key, std::string_view record) {
      ++check.counts[table.name];
      const auto found = key_in(table.kind, record);
      if (found && *found == key) {
        return table.kind == ArchiveKind::kJob ? check_labels(**database, record, check)
                                               : absl::OkStatus();
      }
      if (check.faults.size() < kMostFaults) {
        check.faults.push_back(absl::StrCat(
            table.name, " ", std::string(table.kind == ArchiveKind::kIdempotency ? "" : key),
            found ? ": the record is another's" : ": the record is damaged"));
      }
      return absl::OkStatus();
    };
    const absl::Status status = for_each_row(**database, rows_of(table), look);
    if (is_damage(status)) {
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
    if (parse_sealed(record, worker)) workers.push_back(worker.worker());
    return absl::OkStatus();
  };
  const absl::Status status =
      for_each_row(**database, "SELECT worker_id, record FROM workers ORDER BY worker_id", add);
  if (!status.ok()) return status;
  return workers;
}

}  // namespace clusterd
