#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace clusterd {

// A file that lies on no disk, for a library that reads files: nobody else sees it, and its content
// is replaced at once, so that a reader gets the old text or the new one.
//
// Owned by TlsKeeper; ends with the process's descriptor, which no child inherits.
class MemoryFile {
 public:
  MemoryFile() = default;
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // Makes the file at the first call. Each text has a later time than the one before, by whole
  // seconds, which is what readers tell a change by. On error the old text stays.
  absl::Status replace(std::string_view text);

  // Valid after replace().
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_ = -1;
  std::time_t time_ = 1;
};

}  // namespace clusterd
