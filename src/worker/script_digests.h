#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace clusterd {

// What `sha256sum` prints: names of files with the digests that each may have, 32 raw bytes.
using DigestTable = std::map<std::string, std::set<std::string>>;

// INVALID_ARGUMENT names the first line that is none of sha256sum's. Names are as printed, without
// a leading "./". Empty lines and those that begin with '#' are left out.
[[nodiscard]] absl::StatusOr<DigestTable> parse_digests(std::string_view text);

// The scripts that may run, by what is in them: the file `jobs.digests`, whose names are relative
// to the scripts folder, or absolute. It is read again when it has changed; while it cannot be
// read, nothing may run.
//
// Owned by Admission; reads the file system, on its thread.
class ScriptDigests {
 public:
  // `file` is absolute or empty: every script may run. `folder` is the scripts folder, absolute.
  ScriptDigests(std::string file, std::string folder);

  [[nodiscard]] bool is_used() const { return !file_.empty(); }
  // FAILED_PRECONDITION with field `jobs.digests`: the file cannot be read, is malformed, or others
  // may write it.
  [[nodiscard]] absl::Status check();

  // SHA-256 of the script at `path` (absolute, without symbolic links), which a job called `name`.
  // PERMISSION_DENIED with field `path`: the table does not have it for one of both names. Else as
  // check().
  [[nodiscard]] absl::StatusOr<std::string> verify(const std::string& name,
                                                   const std::string& path);
  // Whether the table has this SHA-256 (32 raw bytes) for any name. PERMISSION_DENIED with field
  // `script`: it has not. Else as check().
  [[nodiscard]] absl::Status check_upload(const std::string& digest);
  // Whether the table has a script of this name, relative to the folder.
  [[nodiscard]] bool has(const std::string& name);

 private:
  [[nodiscard]] absl::Status refresh();
  [[nodiscard]] absl::StatusOr<DigestTable> read(const std::string& path) const;

  const std::string file_;
  const std::string folder_;
  std::optional<struct stat> read_as_;  // the file when it was read; none: not yet
  absl::StatusOr<DigestTable> table_;
};

}  // namespace clusterd
