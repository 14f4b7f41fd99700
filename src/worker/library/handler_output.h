#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "clusterd/v1/job.pb.h"
#include "worker/launcher/stream_log.h"
#include "worker/unique_fd.h"

namespace clusterd {

// The output of one handler's job, kept as that of a process is: the same files, bounds and
// readers. The bytes take the way through a pipe, which they have left when write() returns.
//
// Owned by HandlerRun; any thread. Has a mutex (see docs/architecture.md#threads): handlers may
// write on many threads.
class HandlerOutput {
 public:
  HandlerOutput(std::string folder, OutputBounds bounds)
      : folder_(std::move(folder)), bounds_(bounds) {
    known_.set_stream(v1::OutputStream::MERGED);
  }

  // False: it met its limit, and its policy is to stop; the rest was dropped.
  [[nodiscard]] bool write(std::string_view bytes);

  [[nodiscard]] v1::OutputStream extent();
  // The last bytes, at most `max_bytes`.
  [[nodiscard]] std::string tail(uint64_t max_bytes);
  // Why it met its limit; empty: it did not.
  [[nodiscard]] std::string limit();

 private:
  bool open();
  // Moves all that is in the pipe to the log.
  bool move_all();
  void note();  // what is known, after each piece
  void set_limit(std::string why);

  const std::string folder_;
  const OutputBounds bounds_;
  std::mutex mutex_;              // held while the disk is written
  std::optional<StreamLog> log_;  // guarded by mutex_; made at the first byte
  UniqueFd pipe_;                 // guarded by mutex_; its writing end
  std::mutex known_mutex_;        // never held for long, so that others may ask at any time
  v1::OutputStream known_;        // guarded by known_mutex_
  std::string limit_;             // guarded by known_mutex_
  bool is_limited_ = false;       // guarded by mutex_
};

}  // namespace clusterd
