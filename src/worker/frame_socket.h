#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message_lite.h"
#include "worker/unique_fd.h"

namespace clusterd {

// One end of the Unix stream socket between worker and launcher: frames of a 32-bit little-endian
// length and a message, with descriptors beside them. Never blocks.
//
// Owned by the loop that polls its descriptor; that thread only. Ends with its destructor, which
// closes the socket.
class FrameSocket {
 public:
  static constexpr size_t kMaxDescriptors = 200;  // beside one frame; the kernel takes 253
  static constexpr uint32_t kMaxFrameBytes = 256U << 20;

  explicit FrameSocket(UniqueFd socket);

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] bool has_unsent() const { return !out_.empty(); }

  // Appends a frame to what is to be sent. `descriptors`, at most kMaxDescriptors, are the caller's
  // again afterwards: the frame is sent now or with duplicates of them.
  void queue(const google::protobuf::MessageLite& message,
             const std::vector<int>& descriptors = {});

  // Sends what the socket takes. UNAVAILABLE where the other end is gone. DATA_LOSS where this
  // process had no room for the descriptors of a frame: nothing more is sent.
  [[nodiscard]] absl::Status flush();

  // Reads what is there. UNAVAILABLE at the end, DATA_LOSS on a frame that cannot be or where this
  // process has no room for the descriptors beside one; frames that came before are still to be
  // taken.
  [[nodiscard]] absl::Status receive();

  // The bytes of the next whole frame; absent if there is none. Valid until the next receive().
  [[nodiscard]] std::optional<std::string_view> next_frame();

  // The next `count` descriptors that came; fewer if the sender cheated.
  [[nodiscard]] std::vector<UniqueFd> take_descriptors(size_t count);

 private:
  struct Chunk {
    std::string bytes;
    size_t sent = 0;
    std::vector<UniqueFd> descriptors;  // go with the first byte
  };

  [[nodiscard]] absl::StatusOr<bool> receive_once();
  [[nodiscard]] absl::StatusOr<uint32_t> frame_size() const;

  UniqueFd socket_;
  std::deque<Chunk> out_;
  std::string in_;
  size_t in_begin_ = 0;  // of what next_frame has not given away
  std::deque<UniqueFd> in_descriptors_;
};

}  // namespace clusterd
