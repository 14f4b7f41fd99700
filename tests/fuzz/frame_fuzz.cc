#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "clusterd/internal/launcher.pb.h"
#include "fuzz/fuzz_bytes.h"
#include "worker/frame_socket.h"

// Any bytes on the socket between worker and launcher are frames or an error, and what is in a
// frame is a message or is not.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clusterd;
  constexpr size_t kMost = 64 << 10;  // what a socket takes without a reader
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0) std::abort();
  const UniqueFd other(ends[1]);
  FrameSocket socket{UniqueFd(ends[0])};
  const auto sent = ::write(ends[1], data, std::min(size, kMost));
  if (sent < 0 && size > 0) std::abort();
  const absl::Status status = socket.receive();
  size_t taken = 0;
  while (const auto frame = socket.next_frame()) {
    taken += frame->size() + sizeof(uint32_t);
    internal::FromLauncher from;
    internal::ToLauncher to;
    if (from.ParseFromArray(frame->data(), static_cast<int>(frame->size())))
      (void)from.ByteSizeLong();
    if (to.ParseFromArray(frame->data(), static_cast<int>(frame->size()))) (void)to.ByteSizeLong();
  }
  if (taken > size || (!status.ok() && status.message().empty())) std::abort();
  return 0;
}
