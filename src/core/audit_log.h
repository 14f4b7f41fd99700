#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/config.h"

namespace clusterd {

// A file of whole lines that keeps itself within bounds: FILE is the newest, FILE.1 the one before,
// `max_files` of them in all. Each has mode 0600. Where somebody else has moved or deleted FILE, a
// new one is begun.
//
// A line is with the kernel when append() returns, so it outlives the process. Owned by
// run_scheduler; any thread. One of the few classes with a mutex (see
// docs/architecture.md#threads): those who write are gRPC's threads, which may block.
class AuditLog {
 public:
  // NOT_FOUND, PERMISSION_DENIED and so on name the file that cannot be written.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<AuditLog>> open(
      const SchedulerConfig::Audit& config);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Adds `line`, which has no line break, and one. After an error nothing of it is in the file.
  [[nodiscard]] absl::Status append(std::string_view line);

 private:
  explicit AuditLog(const SchedulerConfig::Audit& config) : config_(config) {}

  // All with mutex_ held.
  absl::Status open_file();
  absl::Status open_checked();  // leaves what is no good open
  absl::Status rotate();
  [[nodiscard]] bool is_in_place();  // then `size_` is up to date
  void close_file();

  const SchedulerConfig::Audit config_;
  std::mutex mutex_;
  int file_ = -1;      // guarded by mutex_
  uint64_t size_ = 0;  // of the file; guarded by mutex_
};

}  // namespace clusterd
