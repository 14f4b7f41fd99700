#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/event_loop.h"
#include "worker/held_attempt.h"
#include "worker/output_streamer.h"

namespace clusterd {

// Readers that have sent all there is and wait for more. Owned by WorkerCore; core thread only.
class OutputReaders {
 public:
  // `reading` is the loop on which readers go on; outlives this.
  explicit OutputReaders(EventLoop& reading) : reading_(reading) {}

  // `streamer` waits, or goes on at once where `view` has something for it.
  void wait(OutputStreamer* streamer, const OutputView& view);
  // The attempt is as `view` says now.
  void wake(const AttemptId& id, const OutputView& view);
  // The reader has gone.
  void cancel(uint64_t reader_id);
  [[nodiscard]] bool has_readers(const AttemptId& id) const { return by_attempt_.contains(id); }

  void go_on(OutputStreamer* streamer, const OutputView& view);

 private:
  EventLoop& reading_;
  absl::flat_hash_map<AttemptId, std::vector<OutputStreamer*>> by_attempt_;
  absl::flat_hash_map<uint64_t, AttemptId> by_reader_;
};

}  // namespace clusterd
