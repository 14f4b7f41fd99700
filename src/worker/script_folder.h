#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/worker_service.pb.h"

namespace clusterd {

// A script as it will be run.
struct ResolvedScript {
  std::string path;  // absolute, without symbolic links
  bool executable = false;
  bool has_interpreter = false;  // named in its first line, "#!"
};

// The folder below which every script and working folder lies. Names are resolved by the kernel
// (openat2, RESOLVE_BENEATH), so that neither ".." nor a symbolic link leads outside, and what
// runs is the path found there. The folder and each component below it must be writable by nobody
// but root and this process's user.
//
// Errors that are no fault of the request, because the folder is gone or cannot be read, are marked
// as the worker's (core/worker_fault.h); so is a file that is missing where the folder is empty and
// was not before, as the place is at which it was mounted.
//
// Holds a name, and whether there was anything in it; any thread. Reads the file system: not for
// the core thread.
class ScriptFolder {
 public:
  // `folder` is absolute.
  explicit ScriptFolder(std::string folder);

  // Whether anything may run from here. FAILED_PRECONDITION: it cannot be opened.
  // PERMISSION_DENIED: others may write it. Both with field `jobs.scripts_dir`.
  [[nodiscard]] absl::Status check() const;

  // INVALID_ARGUMENT with field `path`: missing, outside, no regular file. PERMISSION_DENIED with
  // field `path`: a component, or the folder, that others may write. ABORTED with field `path`: it
  // was exchanged each time that it was looked at.
  [[nodiscard]] absl::StatusOr<ResolvedScript> find_script(const std::string& path) const;

  // A file for standard input, by its real path. Errors as above with field `stdin_file`.
  [[nodiscard]] absl::StatusOr<std::string> find_input(const std::string& path) const;

  // Empty: the folder itself. Errors as above with field `cwd`.
  [[nodiscard]] absl::StatusOr<std::string> find_working_folder(const std::string& path) const;

  // Scripts that find_script and `is_allowed` accept, by path, hidden ones left out. UNAVAILABLE:
  // the folder cannot be read.
  [[nodiscard]] absl::StatusOr<v1::ListWorkerScriptsResponse> list(
      const v1::ListWorkerScriptsRequest& request,
      const std::function<bool(const std::string& path)>& is_allowed) const;

 private:
  struct Found;
  // Why openat2 did not open it.
  [[nodiscard]] absl::Status not_opened(const std::string& field, const std::string& path,
                                        int error) const;
  [[nodiscard]] absl::Status check_folder(const std::string& field, int root_fd) const;
  [[nodiscard]] absl::StatusOr<Found> find(const std::string& field, const std::string& path) const;
  [[nodiscard]] absl::StatusOr<Found> find_once(const std::string& field,
                                                const std::string& path) const;

  std::string folder_;
  mutable std::atomic<bool> had_content_;
};

}  // namespace clusterd
