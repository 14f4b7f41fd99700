#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Where an attempt's files lie: `<data_dir>/output/<job_id>/<attempt>`.
[[nodiscard]] std::string output_folder(const std::string& data_dir, const v1::AttemptKey& key);

// Bytes of an output stream, from where they truly are.
struct OutputBytes {
  uint64_t offset = 0;  // of the first byte; above the asked one where older ones were released
  std::string data;     // empty at the present end
};

// Reads one stream of one attempt while the launcher writes it. A stream that has not written a
// byte has no file and reads as empty.
//
// One owner, one thread at a time; holds a descriptor, no buffer.
class OutputReader {
 public:
  // INVALID_ARGUMENT where the stream is not one of MERGED, STDOUT, STDERR. Opens nothing yet.
  [[nodiscard]] static absl::StatusOr<OutputReader> open(const std::string& folder,
                                                         v1::OutputStream::Stream stream);
  OutputReader(OutputReader&& other) noexcept;
  OutputReader& operator=(OutputReader&& other) noexcept;
  ~OutputReader();

  // At most `max_bytes` bytes from `offset` on; empty at the end. A released range is skipped:
  // the answer's offset is then the first kept byte's. DATA_LOSS if the file cannot be read.
  [[nodiscard]] absl::StatusOr<OutputBytes> read(uint64_t offset, uint64_t max_bytes);

  // Length and first kept byte at this moment.
  [[nodiscard]] absl::StatusOr<v1::OutputStream> extent();

  // Offset at which the last `lines` lines begin, at least the first kept byte. A last line
  // without newline counts.
  [[nodiscard]] absl::StatusOr<uint64_t> offset_of_tail(uint32_t lines);

 private:
  OutputReader(std::string folder, v1::OutputStream::Stream stream);

  std::string folder_;
  v1::OutputStream::Stream stream_;
  int log_fd_ = -1;
};

}  // namespace clusterd
