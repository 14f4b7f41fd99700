#include "worker/frame_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMergeBytes = 64 << 10;

// A control buffer for the descriptors of one message.
struct alignas(cmsghdr) ControlBuffer {
  std::array<char, CMSG_SPACE(sizeof(int) * FrameSocket::kMaxDescriptors)> bytes{};
};

void attach(msghdr& header, ControlBuffer& control, const std::vector<int>& descriptors) {
  if (descriptors.empty()) return;
  header.msg_control = control.bytes.data();
  header.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
  std::memcpy(CMSG_DATA(part), descriptors.data(), sizeof(int) * descriptors.size());
}

// sendmsg(2) of what the socket takes at once.
ssize_t send_now(int socket, std::string_view bytes, const std::vector<int>& descriptors) {
  iovec data{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  ControlBuffer control;
  attach(header, control, descriptors);
  while (true) {
    const ssize_t sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0 || errno != EINTR) return sent;
  }
}

}  // namespace

FrameSocket::FrameSocket(UniqueFd socket) : socket_(std::move(socket)) {}

void FrameSocket::queue(const google::protobuf::MessageLite& message,
                        const std::vector<int>& descriptors) {
  const bool merge = descriptors.empty() && !out_.empty() && out_.back().bytes.size() < kMergeBytes;
  if (!merge) out_.emplace_back();
  Chunk& chunk = out_.back();
  const auto size = static_cast<uint32_t>(message.ByteSizeLong());
  const std::array<char, 4> prefix = {static_cast<char>(size), static_cast<char>(size >> 8),
                                      static_cast<char>(size >> 16), static_cast<char>(size >> 24)};
  chunk.bytes.append(prefix.data(), prefix.size());
  (void)message.AppendToString(&chunk.bytes);
  if (descriptors.empty()) return;
  // What goes out at once needs no descriptors of its own.
  const ssize_t sent = out_.size() == 1 ? send_now(fd(), chunk.bytes, descriptors) : -1;
  if (sent == static_cast<ssize_t>(chunk.bytes.size())) {
    out_.pop_back();
  } else if (sent > 0) {
    chunk.sent = static_cast<size_t>(sent);
  } else {
    for (const int fd : descriptors) {
      chunk.descriptors.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    }
  }
}

absl::Status FrameSocket::flush() {
  while (!out_.empty()) {
    Chunk& chunk = out_.front();
    std::vector<int> descriptors;
    for (const UniqueFd& descriptor : chunk.descriptors) descriptors.push_back(descriptor.get());
    const ssize_t sent =
        send_now(fd(), std::string_view(chunk.bytes).substr(chunk.sent), descriptors);
    if (sent < 0 && errno == EAGAIN) return absl::OkStatus();
    if (sent < 0 && errno == EBADF) {
      return absl::DataLossError("there was no room to keep a descriptor that is to be sent");
    }
    if (sent < 0) return absl::UnavailableError(std::strerror(errno));
    chunk.descriptors.clear();
    chunk.sent += static_cast<size_t>(sent);
    if (chunk.sent == chunk.bytes.size()) out_.pop_front();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> FrameSocket::receive_once() {
  std::array<char, kReadBytes> piece;  // not in_ itself, which would fill its room with zeros first
  iovec data{piece.data(), piece.size()};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  const ssize_t size = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0 && errno == EINTR) return true;
  if (size < 0 && errno == EAGAIN) return false;
  if (size < 0) return absl::UnavailableError(std::strerror(errno));
  in_.append(piece.data(), static_cast<size_t>(size));
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, reinterpret_cast<const char*>(part) + at, sizeof(fd));
      in_descriptors_.emplace_back(fd);
    }
  }
  // The rest could not be told apart any more: which one is missing is not known.
  if ((header.msg_flags & MSG_CTRUNC) != 0) return absl::DataLossError("descriptors were cut off");
  if (size == 0) return absl::UnavailableError("the other end closed the connection");
  return true;
}

absl::Status FrameSocket::receive() {
  in_.erase(0, in_begin_);
  in_begin_ = 0;
  const size_t enough = in_.size() + (1U << 20);  // then what is there is handled first
  while (in_.size() < enough) {
    const absl::StatusOr<bool> more = receive_once();
    if (!more.ok()) return more.status();
    if (!*more) break;
  }
  const absl::StatusOr<uint32_t> size = frame_size();
  return size.ok() && *size > kMaxFrameBytes ? absl::DataLossError("a frame is too long")
                                             : absl::OkStatus();
}

absl::StatusOr<uint32_t> FrameSocket::frame_size() const {
  const std::string_view rest = std::string_view(in_).substr(in_begin_);
  if (rest.size() < 4) return absl::NotFoundError("no frame yet");
  uint32_t size = 0;
  for (size_t i = 4; i-- > 0;) size = (size << 8) | static_cast<unsigned char>(rest[i]);
  return size;
}

std::optional<std::string_view> FrameSocket::next_frame() {
  const absl::StatusOr<uint32_t> size = frame_size();
  if (!size.ok()) return std::nullopt;
  const std::string_view rest = std::string_view(in_).substr(in_begin_);
  if (rest.size() - 4 < *size) return std::nullopt;
  in_begin_ += 4 + size_t{*size};
  return rest.substr(4, *size);
}

std::vector<UniqueFd> FrameSocket::take_descriptors(size_t count) {
  std::vector<UniqueFd> taken;
  while (taken.size() < count && !in_descriptors_.empty()) {
    taken.push_back(std::move(in_descriptors_.front()));
    in_descriptors_.pop_front();
  }
  return taken;
}

}  // namespace clusterd
