#include "worker/output_readers.h"

#include <algorithm>
#include <utility>

namespace clusterd {

void OutputReaders::go_on(OutputStreamer* streamer, const OutputView& view) {
  reading_.post([streamer, view] { streamer->go_on(view); });
}

void OutputReaders::wait(OutputStreamer* streamer, const OutputView& view) {
  if (streamer->is_served_by(view)) return go_on(streamer, view);
  const AttemptId id = to_id(streamer->key());
  by_attempt_[id].push_back(streamer);
  by_reader_.emplace(streamer->id(), id);
}

void OutputReaders::wake(const AttemptId& id, const OutputView& view) {
  const auto found = by_attempt_.find(id);
  if (found == by_attempt_.end()) return;
  std::vector<OutputStreamer*>& waiting = found->second;
  const auto served = std::partition(
      waiting.begin(), waiting.end(),
      [&view](const OutputStreamer* streamer) { return !streamer->is_served_by(view); });
  for (auto streamer = served; streamer != waiting.end(); ++streamer) {
    by_reader_.erase((*streamer)->id());
    go_on(*streamer, view);
  }
  waiting.erase(served, waiting.end());
  if (waiting.empty()) by_attempt_.erase(found);
}

void OutputReaders::cancel(uint64_t reader_id) {
  const auto found = by_reader_.find(reader_id);
  if (found == by_reader_.end()) return;  // not waiting: it sees `cancelled` by itself
  const auto attempt = by_attempt_.find(found->second);
  std::vector<OutputStreamer*>& waiting = attempt->second;
  const auto streamer =
      std::find_if(waiting.begin(), waiting.end(),
                   [reader_id](const OutputStreamer* s) { return s->id() == reader_id; });
  go_on(*streamer, OutputView());
  waiting.erase(streamer);
  if (waiting.empty()) by_attempt_.erase(attempt);
  by_reader_.erase(found);
}

}  // namespace clusterd
