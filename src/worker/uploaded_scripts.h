#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Scripts that came with their jobs, as files named by their SHA-256 that nobody may write (0500).
// What runs is a sealed copy, so a file is needed from the check of a start to the start alone;
// those that were not used for a while are removed when others come.
//
// Owned by Admission; reads and writes the disk, on its thread.
class UploadedScripts {
 public:
  // `folder` is absolute; made with the first script.
  explicit UploadedScripts(std::string folder) : folder_(std::move(folder)) {}

  struct Kept {
    std::string path;
    std::string sha256;            // 32 raw bytes
    bool has_interpreter = false;  // named in its first line, "#!"
    bool is_binary = false;        // an ELF file
  };

  // Keeps the content. UNAVAILABLE with field `script`: it cannot be written. RESOURCE_EXHAUSTED
  // with the same: there are too many that are in use.
  [[nodiscard]] absl::StatusOr<Kept> keep(const v1::ScriptContent& script) const;

 private:
  [[nodiscard]] absl::Status write(const std::string& path, const std::string& content) const;
  [[nodiscard]] absl::Status make_room() const;

  std::string folder_;
};

}  // namespace clusterd
