#include "rpc/connection_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace clusterd;

namespace {

using Indices = std::vector<size_t>;

SchedulerConfig::GrpcServer limits(uint32_t all, uint32_t of_one) {
  SchedulerConfig::GrpcServer limits;
  limits.max_connections = all;
  limits.max_connections_per_client = of_one;
  return limits;
}

// A connection over loopback; both ends are this process's.
class Pair {
 public:
  explicit Pair(int listener) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    near_ = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(connect(near_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    far_ = accept(listener, nullptr, nullptr);
    REQUIRE(far_ >= 0);
  }
  ~Pair() {
    close(near_);
    close(far_);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void send_byte() const { REQUIRE(send(near_, "x", 1, 0) == 1); }
  // Whether the accepted side has been shut down within the time.
  [[nodiscard]] bool is_cut(int ms) const {
    pollfd wait{.fd = near_, .events = POLLRDHUP, .revents = 0};
    return poll(&wait, 1, ms) == 1;
  }

 private:
  int near_ = -1;
  int far_ = -1;
};

}  // namespace

TEST_CASE("of a client's connections beyond its share the quietest go", "[guard]") {
  const std::vector<SeenConnection> seen = {
      {"a", 10}, {"a", 500}, {"b", 9000}, {"a", 20}, {"a", 300}};

  CHECK(connections_to_cut(seen, limits(100, 4)) == Indices{});
  CHECK(connections_to_cut(seen, limits(100, 2)) == Indices{1, 4});
}

TEST_CASE("where there are too many of all, whoever has most gives way", "[guard]") {
  const std::vector<SeenConnection> seen = {{"a", 1}, {"a", 2}, {"a", 3}, {"b", 900}, {"c", 900}};

  CHECK(connections_to_cut(seen, limits(3, 100)) == Indices{2, 1});
}

TEST_CASE("connections to the ports of gRPC are cut, and no others", "[guard]") {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int other = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const int one : {listener, other}) {
    REQUIRE(bind(one, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(one, 8) == 0);
  }
  socklen_t size = sizeof address;
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const Pair quiet(listener);
  const Pair elsewhere(other);
  const Pair busy(listener);
  const SystemClock clock;

  {
    poll(nullptr, 0, 20);
    busy.send_byte();
    const ConnectionGuard guard(clock, limits(10, 1), {ntohs(address.sin_port)});
    CHECK(quiet.is_cut(5000));
  }
  {
    const ConnectionGuard guard(clock, limits(10, 1), {ntohs(address.sin_port)});
    CHECK_FALSE(busy.is_cut(300));  // it is one, and counted once
  }

  CHECK_FALSE(busy.is_cut(0));
  CHECK_FALSE(elsewhere.is_cut(0));
  close(listener);
  close(other);
}
