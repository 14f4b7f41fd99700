#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/sha256.h"

namespace clusterd {

// What one record of an archive is (docs/formats.md#archives).
enum class ArchiveKind : uint8_t {
  kMeta = 1,         // internal.StoreMeta; the first record
  kJob = 2,          // v1.Job, tasks too
  kWorker = 3,       // internal.WorkerRecord
  kIdempotency = 4,  // internal.IdempotencyRecord
  kEvent = 5,        // v1.Event
  kDoomed = 6,       // worker whose output of a job is to be deleted, NUL, the job
  kDamaged = 7,      // the table's name, NUL, and the record as it was stored
  kSchedule = 8,     // v1.Schedule
  kQueue = 9,        // v1.Queue
  kEnd = 255,        // number of records before it and SHA-256 of all bytes before it
};

struct ArchiveRecord {
  ArchiveKind kind = ArchiveKind::kEnd;
  std::string content;
};

// Writes an archive of a store, a record after the other, to an open stream. One thread.
class ArchiveWriter {
 public:
  // `stream` stays its owner's, and outlives this.
  explicit ArchiveWriter(std::FILE* stream);

  // UNAVAILABLE: the stream cannot be written; the archive is of no use then.
  [[nodiscard]] absl::Status add(ArchiveKind kind, std::string_view content);
  // Writes the end, and has it on the disk where the stream is a file.
  [[nodiscard]] absl::Status finish();

  [[nodiscard]] uint64_t count() const { return count_; }

 private:
  absl::Status write(std::string_view bytes);

  std::FILE* stream_;
  Sha256 sum_;
  uint64_t count_ = 0;
};

// The epoch with which a store goes on that was made from an archive: terms after it was written
// had higher ones than it says, and workers refuse an epoch below the highest that they know. There
// were never so many terms as seconds since 1970.
[[nodiscard]] uint64_t epoch_after_import(uint64_t epoch);

// Reads one. Memory is bounded by the largest record. One thread.
class ArchiveReader {
 public:
  // NOT_FOUND, PERMISSION_DENIED: `path`. FAILED_PRECONDITION: it is no archive of a store, or one
  // of a newer program.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ArchiveReader>> open(const std::string& path);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  // nullopt: that was all, and it is whole. DATA_LOSS: damaged or cut, and where.
  [[nodiscard]] absl::StatusOr<std::optional<ArchiveRecord>> next();

 private:
  ArchiveReader(std::string path, std::FILE* stream);
  absl::StatusOr<std::string> read(size_t size);
  absl::Status check_end(std::string_view content, const std::string& sum) const;
  [[nodiscard]] absl::Status damaged(const std::string& how) const;

  std::string path_;
  std::FILE* stream_;
  Sha256 sum_;
  uint64_t count_ = 0;
  uint64_t offset_ = 0;
};

}  // namespace clusterd
