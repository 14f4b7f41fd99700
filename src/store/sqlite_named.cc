#include "store/sqlite_named.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "store/sealed_record.h"

namespace clusterd {
namespace {

template <typename Record>
absl::Status read(SqliteDatabase& database, const std::string& table, std::vector<Record>& records,
                  std::vector<std::string>& damaged) {
  auto rows = database.prepare(absl::StrCat("SELECT name, record FROM ", table, " ORDER BY name"));
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->step();
  for (; row.ok() && *row; row = rows->step()) {
    Record message;
    const std::string_view record = rows->blob(1);
    if (parse_sealed(record, message) && message.name() == rows->text(0)) {
      records.push_back(std::move(message));
    } else {
      damaged.emplace_back(rows->text(0));
    }
  }
  return row.status();
}

template <typename Record>
absl::Status write(SqliteDatabase& database, const std::string& table,
                   const std::vector<Record>& put, const std::vector<std::string>& erased) {
  for (const Record& record : put) {
    auto statement = database.prepare(
        absl::StrCat("INSERT OR REPLACE INTO ", table, " (name, record) VALUES (?1, ?2)"));
    if (!statement.ok()) return statement.status();
    const absl::Status written =
        statement->bind_text(1, record.name()).bind_blob(2, seal(record)).run();
    if (!written.ok()) return written;
  }
  for (const std::string& name : erased) {
    auto statement = database.prepare(absl::StrCat("DELETE FROM ", table, " WHERE name = ?1"));
    if (!statement.ok()) return statement.status();
    const absl::Status written = statement->bind_text(1, name).run();
    if (!written.ok()) return written;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status read_named_records(SqliteDatabase& database, const std::string& table,
                                std::vector<v1::Schedule>& records,
                                std::vector<std::string>& damaged) {
  return read(database, table, records, damaged);
}

absl::Status read_named_records(SqliteDatabase& database, const std::string& table,
                                std::vector<v1::Queue>& records,
                                std::vector<std::string>& damaged) {
  return read(database, table, records, damaged);
}

absl::Status write_named_records(SqliteDatabase& database, const StoreBatch& batch) {
  const absl::Status schedules =
      write(database, "schedules", batch.put_schedules, batch.delete_schedules);
  if (!schedules.ok()) return schedules;
  return write(database, "queues", batch.put_queues, batch.delete_queues);
}

}  // namespace clusterd
