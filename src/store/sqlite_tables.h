#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "clusterd/internal/store.pb.h"
#include "store/sqlite_database.h"
#include "store/store_archive.h"

namespace clusterd {

// A table of the SQLite store whose records are messages.
struct SqliteTable {
  const char* name;
  const char* key;  // the column that the record has too
  ArchiveKind kind;
};

[[nodiscard]] absl::Span<const SqliteTable> sqlite_tables();

// Its keys and records, in the order in which the file has them.
[[nodiscard]] std::string rows_of(const SqliteTable& table);

// The text of the key that a sealed record has; nullopt: it is damaged.
[[nodiscard]] std::optional<std::string> key_in(ArchiveKind kind, std::string_view record);

// Opens a store for reading, in one transaction: what it shows does not change. NOT_FOUND: no such
// file. FAILED_PRECONDITION: of another format. DATA_LOSS: damaged.
[[nodiscard]] absl::StatusOr<std::unique_ptr<SqliteDatabase>> open_to_read(const std::string& path);

// Calls `visit` with the first two columns of each row, a text and a blob.
[[nodiscard]] absl::Status for_each_row(
    SqliteDatabase& database, const std::string& query,
    absl::FunctionRef<absl::Status(std::string_view, std::string_view)> visit);

// What the store says of itself; what is missing is absent.
[[nodiscard]] absl::StatusOr<internal::StoreMeta> read_meta(SqliteDatabase& database);

}  // namespace clusterd
