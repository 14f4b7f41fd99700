#include "rpc/local_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

using namespace clusterd;

namespace {

template <typename Socket>
Address address_of(int socket, int (*get)(int, sockaddr*, socklen_t*)) {
  Socket name{};
  socklen_t size = sizeof name;
  REQUIRE(get(socket, reinterpret_cast<sockaddr*>(&name), &size) == 0);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if constexpr (std::is_same_v<Socket, sockaddr_in>) {
    inet_ntop(AF_INET, &name.sin_addr, text.data(), text.size());
    return {.host = text.data(), .port = ntohs(name.sin_port)};
  } else {
    inet_ntop(AF_INET6, &name.sin6_addr, text.data(), text.size());
    return {.host = text.data(), .port = ntohs(name.sin6_port)};
  }
}

// A listener on loopback and both ends of one connection to it.
template <typename Socket>
struct Link {
  explicit Link(const Socket& loopback) {
    listener = socket(reinterpret_cast<const sockaddr&>(loopback).sa_family, SOCK_STREAM, 0);
    REQUIRE(bind(listener, reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) == 0);
    REQUIRE(listen(listener, 1) == 0);
  }
  ~Link() {
    for (const int file : {listener, client, server}) close(file);
  }
  void connect_from_here() {
    Socket name{};
    socklen_t size = sizeof name;
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size) == 0);
    client = socket(reinterpret_cast<const sockaddr&>(name).sa_family, SOCK_STREAM, 0);
    REQUIRE(connect(client, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  }
  void accept_it() {
    server = accept(listener, nullptr, nullptr);
    REQUIRE(server >= 0);
    peer = address_of<Socket>(server, getpeername);
    ours = address_of<Socket>(server, getsockname);
  }

  int listener = -1;
  int client = -1;
  int server = -1;
  Address peer;
  Address ours;
};

const sockaddr_in kLoopback{.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
const sockaddr_in6 kLoopback6{.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

}  // namespace

TEST_CASE("the user at the other end of a loopback connection is known", "[peers]") {
  Link<sockaddr_in> link(kLoopback);
  link.connect_from_here();
  link.accept_it();

  const auto user = user_of_peer(link.peer, link.ours);

  REQUIRE(user.ok());
  CHECK(*user == geteuid());
  CHECK(absl::IsNotFound(user_of_peer(link.ours, {.host = "127.0.0.1", .port = 1}).status()));
}

TEST_CASE("over IPv6 as well", "[peers]") {
  Link<sockaddr_in6> link(kLoopback6);
  link.connect_from_here();
  link.accept_it();

  const auto user = user_of_peer(link.peer, link.ours);

  REQUIRE(user.ok());
  CHECK(*user == geteuid());
}

TEST_CASE("another user's process is told from ours", "[peers]") {
  if (geteuid() != 0) return;  // only root can be somebody else
  Link<sockaddr_in> link(kLoopback);
  constexpr uid_t kNobody = 65534;
  const pid_t child = fork();
  if (child == 0) {
    sockaddr_in name{};
    socklen_t size = sizeof name;
    getsockname(link.listener, reinterpret_cast<sockaddr*>(&name), &size);
    if (setuid(kNobody) != 0) _exit(1);
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    if (connect(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) _exit(1);
    pause();
  }
  link.accept_it();

  const auto user = user_of_peer(link.peer, link.ours);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);

  REQUIRE(user.ok());
  CHECK(*user == kNobody);
  // The kernel would say root of what has lost its owner.
  CHECK(absl::IsNotFound(user_of_peer(link.peer, link.ours).status()));
}

TEST_CASE("nobody is known who is not on this machine", "[peers]") {
  CHECK_FALSE(
      user_of_peer({.host = "192.0.2.1", .port = 5}, {.host = "127.0.0.1", .port = 6}).ok());
  CHECK_FALSE(user_of_peer({.host = "::1", .port = 5}, {.host = "127.0.0.1", .port = 6}).ok());
  CHECK_FALSE(user_of_peer({.host = "localhost", .port = 5}, {.host = "::1", .port = 6}).ok());
}
