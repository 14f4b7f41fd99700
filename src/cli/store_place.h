#pragma once

#include <cstdio>
#include <string>

#include "absl/status/statusor.h"
#include "cli/store_commands.h"
#include "core/config.h"
#include "store/sqlite_archive.h"
#include "store/sqlite_repair.h"

namespace clusterd {

// The store that flags name: a SQLite file, or the one of a scheduler's configuration.
[[nodiscard]] absl::StatusOr<SchedulerConfig::Store> store_of(const StoreFlags& flags);
// For messages: its path, or its endpoints and prefix.
[[nodiscard]] std::string name_of(const SchedulerConfig::Store& store);

// Of whichever backend it has; see sqlite_archive.h and etcd_archive.h. They block.
[[nodiscard]] absl::StatusOr<StoreCounts> export_store(const SchedulerConfig::Store& store,
                                                       std::FILE* stream);
[[nodiscard]] absl::StatusOr<StoreCounts> import_store(const std::string& archive,
                                                       const SchedulerConfig::Store& store);
[[nodiscard]] absl::StatusOr<StoreCheck> check_store(const SchedulerConfig::Store& store);
// FAILED_PRECONDITION: in etcd, too.
[[nodiscard]] absl::StatusOr<StoreRepair> repair_store(const SchedulerConfig::Store& store);

}  // namespace clusterd
