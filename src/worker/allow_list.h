#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace clusterd {

// Executables that jobs may name: `allowed_commands`, `allowed_programs` or `archive_commands`.
// Entries are names, looked up once in `search_path`, or absolute paths. Immutable; any thread.
class AllowList {
 public:
  // `key` is the list's name in the configuration, `search_path` as in $PATH, `field` that of a
  // job that names one.
  AllowList(std::string key, const std::vector<std::string>& entries,
            const std::string& search_path, std::string field = "command");

  // The absolute executable that `requested` means: an entry's text, or its last component.
  // PERMISSION_DENIED with that field names what is allowed; FAILED_PRECONDITION: allowed,
  // but this machine had no such executable when the worker started.
  [[nodiscard]] absl::StatusOr<std::string> find(const std::string& requested) const;

  // Entries that this machine has not.
  [[nodiscard]] std::vector<std::string> missing() const;

 private:
  struct Entry {
    std::string text;
    std::string executable;  // absolute; empty: not found
  };

  std::string key_;
  std::string field_;
  std::vector<Entry> entries_;
};

}  // namespace clusterd
