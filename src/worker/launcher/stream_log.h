#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"
#include "worker/unique_fd.h"

namespace clusterd {

// How much of a stream is kept, and what happens beyond that.
struct OutputBounds {
  uint64_t max_bytes = 0;  // 0: no bound
  bool stops = false;      // the first bytes are kept and the job ends; else the last ones are kept
  std::chrono::milliseconds patience{5000};  // with a log that cannot be written
};

// Writes one stream of one attempt: moves what is in its FIFO to its log and keeps the log within
// its bounds. The log and its first kept byte on the disk are all that it knows of the past, so
// another launcher goes on where a killed one stopped.
//
// Where the disk is full, a stream that does not stop releases its own oldest bytes to make room.
//
// Owned by the output pump; its thread only.
class StreamLog {
 public:
  // Opens the log where it is there already.
  StreamLog(std::string folder, v1::OutputStream::Stream stream, OutputBounds bounds,
            UniqueFd fifo);

  // Moves at most 1 MiB; 0 where the FIFO is empty. RESOURCE_EXHAUSTED: all that may be written is
  // written, and more is there. UNAVAILABLE: the log cannot be written at present. Of an error
  // nothing was moved; it can be tried again.
  [[nodiscard]] absl::StatusOr<uint64_t> move_some();

  // Takes at most 1 MiB from the FIFO and counts it as written and released. Returns how much.
  uint64_t skip_some();
  // Takes at most 1 MiB from the FIFO, which does not become part of the stream. Returns how much.
  uint64_t drop_some();

  // True if releasing a byte would first need room on the disk, which is low.
  [[nodiscard]] bool needs_reserve() const;
  // Takes that room now.
  void take_reserve();

  // Bytes that were given up since the last call for want of room: released before their time, or
  // skipped.
  [[nodiscard]] uint64_t take_given_up() { return std::exchange(given_up_, 0); }

  [[nodiscard]] v1::OutputStream extent() const;
  // The last bytes, at most `max_bytes`.
  [[nodiscard]] std::string tail(uint64_t max_bytes) const;
  [[nodiscard]] int fifo() const { return fifo_.get(); }
  [[nodiscard]] const OutputBounds& bounds() const { return bounds_; }

 private:
  [[nodiscard]] absl::Status open_log(bool create);
  // As splice(2); 0 and errno EAGAIN where the FIFO is empty.
  [[nodiscard]] int64_t splice_to_log(uint64_t max_bytes);
  [[nodiscard]] uint64_t take_away();
  void release_beyond_bound();
  [[nodiscard]] bool release_to(uint64_t first);
  [[nodiscard]] uint64_t release_step() const;
  [[nodiscard]] bool make_room();
  [[nodiscard]] bool record_skipped();

  std::string folder_;
  v1::OutputStream::Stream stream_;
  OutputBounds bounds_;
  UniqueFd fifo_;
  UniqueFd log_;
  UniqueFd null_;
  uint64_t length_ = 0;
  uint64_t first_kept_ = 0;
  uint64_t given_up_ = 0;
  bool has_kept_file_ = false;
  bool skipped_unrecorded_ = false;  // length_ and first_kept_ are ahead of the files
  bool pipe_enlarged_ = false;
};

}  // namespace clusterd
