#include "store/sqlite_database.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace clusterd {
namespace {

// Other connections hold locks for as long as one checkpoint takes.
constexpr int kBusyTimeoutMs = 30'000;
constexpr char kUnreadable[] = "clusterd/unreadable";

absl::StatusCode code_of(int result) {
  switch (result & 0xff) {
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
      return absl::StatusCode::kDataLoss;
    case SQLITE_NOTADB:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

SqliteStatement::SqliteStatement(SqliteDatabase& database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_result_(other.bind_result_) {}

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteStatement& SqliteStatement::bind(int parameter, int64_t value) {
  const int result = sqlite3_bind_int64(statement_, parameter, value);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

SqliteStatement& SqliteStatement::bind_text(int parameter, std::string_view text) {
  const int result = sqlite3_bind_text64(statement_, parameter, text.data(), text.size(),
                                         SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

SqliteStatement& SqliteStatement::bind_blob(int parameter, std::string_view bytes) {
  // A null pointer would bind NULL instead of no bytes.
  const char* data = bytes.empty() ? "" : bytes.data();
  const int result =
      sqlite3_bind_blob64(statement_, parameter, data, bytes.size(), SQLITE_TRANSIENT);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

absl::StatusOr<bool> SqliteStatement::step() {
  if (bind_result_ != SQLITE_OK) return database_.error(bind_result_);
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return database_.error(result);
}

absl::Status SqliteStatement::run() {
  absl::StatusOr<bool> row = true;
  while (row.ok() && *row) row = step();
  sqlite3_reset(statement_);
  return row.status();
}

SqliteStatement& SqliteStatement::restart() {
  sqlite3_reset(statement_);
  return *this;
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view SqliteStatement::text(int column) const {
  const void* data = sqlite3_column_text(statement_, column);
  return {static_cast<const char*>(data),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view SqliteStatement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  return {static_cast<const char*>(data),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::open(const std::string& path,
                                                                     Access access,
                                                                     const std::string& vfs) {
  // Before its first use: SQLite counts the bytes that it has allocated, under one lock for all
  // connections, and nobody asks for the count.
  static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)uncounted;
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (access == Access::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  // Even a failed open may have made a handle, which holds the error's text.
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(path, handle));
  if (result != SQLITE_OK) return database->error(result);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  return database;
}

SqliteDatabase::SqliteDatabase(std::string path, sqlite3* handle)
    : path_(std::move(path)), handle_(handle) {}

SqliteDatabase::~SqliteDatabase() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

absl::Status SqliteDatabase::execute(const std::string& sql) {
  const int result = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : error(result);
}

absl::StatusOr<int64_t> SqliteDatabase::query_integer(const std::string& sql) {
  absl::StatusOr<SqliteStatement> statement = prepare(sql);
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::NotFoundError(absl::StrCat("store ", path_, ": no row for ", sql));
  return statement->integer(0);
}

absl::StatusOr<SqliteStatement> SqliteDatabase::prepare(const std::string& sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr) {
    const int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (result != SQLITE_OK) return error(result);
  }
  return SqliteStatement(*this, statement);
}

absl::Status SqliteDatabase::error(int result) const {
  const char* text = handle_ == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle_);
  absl::Status status(code_of(result),
                      absl::StrCat("store ", path_, ": ", text, " (SQLite ", result, ")"));
  // It may be for a moment, so callers are told to try again; a repair does not.
  if (result == SQLITE_IOERR_READ || result == SQLITE_IOERR_SHORT_READ) {
    status.SetPayload(kUnreadable, absl::Cord());
  }
  return status;
}

bool is_damage(const absl::Status& status) {
  return absl::IsDataLoss(status) || status.GetPayload(kUnreadable).has_value();
}

bool SqliteDatabase::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

}  // namespace clusterd
