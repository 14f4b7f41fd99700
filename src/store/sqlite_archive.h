#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/worker.pb.h"

namespace clusterd {

// How many records there are of each kind: "jobs", "workers", "events" …
using StoreCounts = std::map<std::string, uint64_t>;

// Writes what the store at `path` holds to `stream`, as of one moment, while a scheduler may be
// using it. Its write-ahead log grows meanwhile by what is written to it. NOT_FOUND: no such file.
// FAILED_PRECONDITION: not a store, or of another format. UNAVAILABLE: cannot be read or written.
// Blocks.
[[nodiscard]] absl::StatusOr<StoreCounts> export_sqlite(const std::string& path, std::FILE* stream);

// Makes a store at `path` from an archive; it is there when all of it is. ALREADY_EXISTS: something
// is there. DATA_LOSS: the archive is damaged. Blocks.
[[nodiscard]] absl::StatusOr<StoreCounts> import_sqlite(const std::string& archive,
                                                        const std::string& path);

struct StoreCheck {
  StoreCounts counts;
  std::vector<std::string> faults;  // at most 100, for people; empty: it is sound
};

// Looks through all of a store, while a scheduler may be using it: its pages, and that each record
// parses and is where it belongs. Errors as of export_sqlite(). Blocks.
[[nodiscard]] absl::StatusOr<StoreCheck> check_sqlite(const std::string& path);

// The workers that a store knows. Errors as of export_sqlite(); records that do not parse are left
// out. Blocks.
[[nodiscard]] absl::StatusOr<std::vector<v1::Worker>> workers_in_sqlite(const std::string& path);

}  // namespace clusterd
