#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace clusterd {

// Keeps a second process from the same store: an advisory lock on a file beside it.
//
// The file stays when the lock goes, because removing it would let two processes lock two files
// of one name. Owned by the store, whichever thread; released with the object or the process.
class FileLock {
 public:
  // FAILED_PRECONDITION: another process has it. UNAVAILABLE: the file cannot be made.
  [[nodiscard]] static absl::StatusOr<FileLock> acquire(const std::string& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace clusterd
