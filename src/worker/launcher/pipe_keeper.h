#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "worker/frame_socket.h"
#include "worker/launcher/spawn.h"
#include "worker/unique_fd.h"

namespace clusterd {

// Gives the FIFOs of attempts to the worker before their processes start. What is in a FIFO goes
// with its last descriptor: a job may have written and ended, and this process died, before the
// control loop could tell of it.
//
// Owned by Supervisor; any thread. Has a mutex (see docs/architecture.md#threads).
class PipeKeeper {
 public:
  // Makes a channel and returns the worker's end of it; an earlier channel is closed. Invalid:
  // there is none.
  [[nodiscard]] UniqueFd open();
  void close();

  // Sends FIFOs into the channel, where the worker has them even while it does not read. The number
  // of the channel; 0: it has not got them.
  [[nodiscard]] uint64_t keep(const v1::AttemptKey& key, const std::vector<OutputPipe>& pipes);

  // The worker that is there now has got what was kept with this number.
  [[nodiscard]] bool is_current(uint64_t number) const;

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::unique_ptr<FrameSocket> channel_;  // null: none is open
  uint64_t number_ = 0;                   // of the newest one
};

}  // namespace clusterd
