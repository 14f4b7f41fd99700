#pragma once

#include "absl/status/status.h"
#include "store/sqlite_database.h"

namespace clusterd {

// Brings a store of an older format to the present one, each step in one transaction: a failure or
// a crash leaves it as it was before the step.
[[nodiscard]] absl::Status migrate(SqliteDatabase& database, int64_t version);

}  // namespace clusterd
