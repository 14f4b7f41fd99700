#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"
#include "worker/unique_fd.h"

namespace clusterd {

// Writes one stream of one attempt: moves what is in its FIFO to its log and keeps the log within
// its bound. The log's length is all that it knows of the past, so another launcher goes on where a
// killed one stopped.
//
// Owned by the output pump; its thread only.
class StreamLog {
 public:
  // `max_bytes`: kept at least, 0: no bound. Opens the log where it is there already.
  StreamLog(std::string folder, v1::OutputStream::Stream stream, uint64_t max_bytes, UniqueFd fifo);

  // Moves at most 1 MiB; 0 where the FIFO is empty. An error: nothing was moved; it can be tried
  // again.
  [[nodiscard]] absl::StatusOr<uint64_t> move_some();

  [[nodiscard]] v1::OutputStream extent() const;
  // The last bytes, at most `max_bytes`.
  [[nodiscard]] std::string tail(uint64_t max_bytes) const;
  [[nodiscard]] int fifo() const { return fifo_.get(); }

 private:
  [[nodiscard]] absl::Status open_log(bool create);
  void release_oldest();

  std::string folder_;
  v1::OutputStream::Stream stream_;
  uint64_t max_bytes_;
  UniqueFd fifo_;
  UniqueFd log_;
  uint64_t length_ = 0;
  uint64_t first_kept_ = 0;
  bool pipe_enlarged_ = false;
};

}  // namespace clusterd
