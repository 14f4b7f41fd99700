#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace clusterd {

class SqliteDatabase;

// A statement in use: bind, step, read columns. Lent by SqliteDatabase::prepare(), which it must
// not outlive; its end makes the statement ready for the next user. One thread at a time.
class SqliteStatement {
 public:
  SqliteStatement(SqliteDatabase& database, sqlite3_stmt* statement);
  ~SqliteStatement();
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&&) = delete;

  // Parameters count from 1. Bytes are copied. A failure is told by the next step().
  SqliteStatement& bind(int parameter, int64_t value);
  SqliteStatement& bind_text(int parameter, std::string_view text);
  SqliteStatement& bind_blob(int parameter, std::string_view bytes);

  // True: there is a row to read. False: done.
  [[nodiscard]] absl::StatusOr<bool> step();
  // Steps to the end, for statements that give no rows, and resets.
  [[nodiscard]] absl::Status run();

  // Goes back to before the first row; what is bound stays, and can be bound anew.
  SqliteStatement& restart();

  // Of the current row; columns count from 0. The views live until the next step().
  [[nodiscard]] int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::string_view blob(int column) const;

 private:
  SqliteDatabase& database_;
  sqlite3_stmt* statement_;
  int bind_result_ = 0;
};

// One connection to a SQLite file, with statements prepared once and kept.
//
// Owned by the part of the store that uses it; one thread at a time. The destructor closes it.
class SqliteDatabase {
 public:
  enum class Access { kReadWrite, kReadOnly };

  // Opens an existing file. `vfs`: SQLite's name of the file system layer, empty for its default.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SqliteDatabase>> open(const std::string& path,
                                                                            Access access,
                                                                            const std::string& vfs);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Runs any number of statements that give no rows.
  [[nodiscard]] absl::Status execute(const std::string& sql);
  // The first column of the first row; NOT_FOUND without a row.
  [[nodiscard]] absl::StatusOr<int64_t> query_integer(const std::string& sql);
  // A statement with this text is prepared at its first use. At most one user at a time.
  [[nodiscard]] absl::StatusOr<SqliteStatement> prepare(const std::string& sql);

  // RESOURCE_EXHAUSTED: disk full. DATA_LOSS: damaged. UNAVAILABLE: I/O, access or lock.
  [[nodiscard]] absl::Status error(int result) const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] sqlite3* handle() const { return handle_; }

 private:
  SqliteDatabase(std::string path, sqlite3* handle);

  std::string path_;
  sqlite3* handle_;
  absl::flat_hash_map<std::string, sqlite3_stmt*> statements_;
};

// What is behind an error of a database cannot be read: damaged pages, and sectors that fail.
[[nodiscard]] bool is_damage(const absl::Status& status);

}  // namespace clusterd
