#include "worker/frame_socket.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <utility>

#include "clusterd/internal/launcher.pb.h"

namespace clusterd {
namespace {

// A limit on descriptors that leaves room for `count` more, until the end of the test.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t count) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const rlimit few{static_cast<rlim_t>(next.get()) + count, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  ~FewDescriptors() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

// Both ends of one.
std::pair<FrameSocket, FrameSocket> make_pair() {
  std::array<int, 2> pair{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0);
  return {FrameSocket(UniqueFd(pair[0])), FrameSocket(UniqueFd(pair[1]))};
}

TEST_CASE("a frame whose descriptors do not all fit ends the connection", "[frame_socket]") {
  auto [sender, receiver] = make_pair();
  internal::FromLauncher message;
  message.add_descriptors();
  sender.queue(message, {0, 1, 2, 0, 1});
  REQUIRE(sender.flush().ok());

  absl::Status received;
  {
    const FewDescriptors few(2);
    received = receiver.receive();
  }

  CHECK(absl::IsDataLoss(received));
}

TEST_CASE("a frame whose descriptors could not be kept is not sent, and says so",
          "[frame_socket]") {
  auto [sender, receiver] = make_pair();
  internal::FromLauncher large;
  large.set_upgrade_refused(std::string(8 << 20, 'x'));
  internal::FromLauncher message;
  message.add_descriptors();
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  sender.queue(large);
  REQUIRE(sender.flush().ok());
  REQUIRE(sender.has_unsent());  // what follows has to wait
  {
    const FewDescriptors none(0);
    sender.queue(message, {file.get()});
  }

  absl::Status flushed;
  while (flushed.ok()) {
    REQUIRE(receiver.receive().ok());
    flushed = sender.flush();
  }
  CHECK(absl::IsDataLoss(flushed));
  CHECK(receiver.receive().ok());
  CHECK(receiver.next_frame() == large.SerializeAsString());
  CHECK_FALSE(receiver.next_frame().has_value());
}

TEST_CASE("a frame that goes out at once takes no descriptors of its own", "[frame_socket]") {
  auto [sender, receiver] = make_pair();
  internal::FromLauncher message;
  message.add_descriptors();
  {
    const FewDescriptors none(0);
    sender.queue(message, {0});
  }

  CHECK_FALSE(sender.has_unsent());
  REQUIRE(receiver.receive().ok());
  CHECK(receiver.next_frame() == message.SerializeAsString());
  CHECK(receiver.take_descriptors(1).size() == 1);
}

TEST_CASE("a frame brings its descriptors", "[frame_socket]") {
  auto [sender, receiver] = make_pair();
  internal::FromLauncher message;
  message.add_descriptors();
  sender.queue(message, {0, 1, 2, 0, 1});
  REQUIRE(sender.flush().ok());

  REQUIRE(receiver.receive().ok());

  CHECK(receiver.next_frame() == message.SerializeAsString());
  CHECK(receiver.take_descriptors(9).size() == 5);
}

}  // namespace
}  // namespace clusterd
