#include "support/cutting_proxy.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

namespace clusterd::testing {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

CuttingProxy::CuttingProxy(const std::string& to)
    : port_(static_cast<uint16_t>(std::stoi(to.substr(to.find(':') + 1)))),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener_, 16) == 0);
  REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  endpoint_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  thread_ = std::thread([this] { run(); });
}

CuttingProxy::~CuttingProxy() {
  is_ending_ = true;
  thread_.join();
  ::close(listener_);
  for (const Pair& pair : pairs_) {
    ::close(pair.caller);
    ::close(pair.server);
  }
}

void CuttingProxy::accept_one() {
  Pair pair;
  pair.caller = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  pair.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port_);
  if (::connect(pair.server, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    pairs_.push_back(pair);
    return;
  }
  ::close(pair.caller);
  ::close(pair.server);
}

bool CuttingProxy::pass(Pair& pair, bool is_answer) {
  std::array<char, 65'536> bytes{};
  const ssize_t got = ::recv(is_answer ? pair.server : pair.caller, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  if (is_answer && is_losing_) {
    pair.has_lost = true;
    return true;
  }
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t more = ::send(is_answer ? pair.caller : pair.server, bytes.data() + sent,
                                static_cast<size_t>(got - sent), MSG_NOSIGNAL);
    if (more <= 0) return false;
    sent += more;
  }
  return true;
}

void CuttingProxy::run() {
  constexpr int kLookAgainMs = 20;
  while (!is_ending_) {
    std::vector<pollfd> polls = {{.fd = listener_, .events = POLLIN, .revents = 0}};
    for (const Pair& pair : pairs_) {
      polls.push_back({.fd = pair.caller, .events = POLLIN, .revents = 0});
      polls.push_back({.fd = pair.server, .events = POLLIN, .revents = 0});
    }
    (void)::poll(polls.data(), polls.size(), kLookAgainMs);
    std::vector<Pair> kept;
    for (size_t i = 0; i < pairs_.size(); ++i) {
      Pair& pair = pairs_[i];
      bool goes_on = !(pair.has_lost && !is_losing_);
      if (goes_on && polls[1 + 2 * i].revents != 0) goes_on = pass(pair, false);
      if (goes_on && polls[2 + 2 * i].revents != 0) goes_on = pass(pair, true);
      if (goes_on) {
        kept.push_back(pair);
      } else {
        ::close(pair.caller);
        ::close(pair.server);
      }
    }
    pairs_ = std::move(kept);
    if (polls[0].revents != 0) accept_one();
  }
}

}  // namespace clusterd::testing
