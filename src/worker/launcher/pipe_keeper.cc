#include "worker/launcher/pipe_keeper.h"

#include <sys/socket.h>

#include <array>
#include <utility>

#include "clusterd/internal/launcher.pb.h"

namespace clusterd {

UniqueFd PipeKeeper::open() {
  const std::lock_guard lock(mutex_);
  channel_.reset();
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return UniqueFd();
  channel_ = std::make_unique<FrameSocket>(UniqueFd(ends[0]));
  ++number_;
  return UniqueFd(ends[1]);
}

void PipeKeeper::close() {
  const std::lock_guard lock(mutex_);
  channel_.reset();
}

uint64_t PipeKeeper::keep(const v1::AttemptKey& key, const std::vector<OutputPipe>& pipes) {
  internal::FromLauncher message;
  std::vector<int> descriptors;
  for (const OutputPipe& pipe : pipes) {
    internal::PassedDescriptor& fifo = *message.add_descriptors();
    *fifo.mutable_key() = key;
    fifo.set_kind(internal::PassedDescriptor::FIFO);
    fifo.set_stream(pipe.stream);
    descriptors.push_back(pipe.fd.get());
  }
  const std::lock_guard lock(mutex_);
  if (channel_ == nullptr) return 0;
  // A worker that does not read for long gets the rest from the control loop.
  if (channel_->has_unsent() && (!channel_->flush().ok() || channel_->has_unsent())) return 0;
  channel_->queue(message, descriptors);
  const bool is_sent = channel_->flush().ok() && !channel_->has_unsent();
  return is_sent ? number_ : 0;
}

bool PipeKeeper::is_current(uint64_t number) const {
  const std::lock_guard lock(mutex_);
  return channel_ != nullptr && number == number_;
}

}  // namespace clusterd
