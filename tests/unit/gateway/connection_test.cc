#include "gateway/connection.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <catch2/catch.hpp>
#include <optional>
#include <vector>

namespace clusterd::gateway {
namespace {

// A connection whose client is this test. Its handlers run in run_ready() alone, so that a test
// decides what comes between two of them.
class ConnectionFixture {
 public:
  ConnectionFixture() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener, generic, size) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    REQUIRE(::getsockname(listener, generic, &size) == 0);
    client_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(client_, generic, size) == 0);
    served_ = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(served_ >= 0);
    ::close(listener);
    connection_ = make_plain_connection(strand_, served_, false);
  }
  ~ConnectionFixture() {
    connection_->close(true);
    run_ready();
    ::close(client_);
  }
  ConnectionFixture(const ConnectionFixture&) = delete;
  ConnectionFixture& operator=(const ConnectionFixture&) = delete;

  Connection& connection() { return *connection_; }
  void send(std::string_view text) const {
    REQUIRE(::send(client_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  std::size_t receive() const {
    std::vector<char> piece(1 << 20);
    const ssize_t got = ::recv(client_, piece.data(), piece.size(), MSG_DONTWAIT);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  // Takes what has come away from under the connection: what it was woken for is gone.
  void steal() const {
    std::array<char, 64> piece{};
    REQUIRE(::recv(served_, piece.data(), piece.size(), MSG_DONTWAIT) > 0);
  }
  void run_ready() {
    io_.restart();
    io_.poll();
  }
  // What the next handler does, and no more.
  void run_one() {
    io_.restart();
    io_.poll_one();
  }

  void begin_read() {
    outcome.reset();
    has_begun = false;
    asio::co_spawn(
        strand_,
        [this]() -> asio::awaitable<void> {
          has_begun = true;
          outcome = co_await connection_->read(buffer, 100);
        },
        asio::detached);
  }
  void begin_write(const std::string& text) {
    asio::co_spawn(
        strand_,
        [this, &text]() -> asio::awaitable<void> {
          const std::array buffers = {
              asio::const_buffer(text.data(), text.size() / 2), asio::const_buffer(),
              asio::const_buffer(text.data() + text.size() / 2, text.size() - text.size() / 2)};
          outcome = co_await connection_->write(buffers);
        },
        asio::detached);
  }

  bool has_begun = false;
  std::optional<Transferred> outcome;
  std::string buffer;

 private:
  asio::io_context io_{1};
  asio::strand<asio::io_context::executor_type> strand_ = asio::make_strand(io_);
  int client_ = -1;
  int served_ = -1;
  std::unique_ptr<Connection> connection_;
};

}  // namespace

TEST_CASE("a read waits for what comes, and takes no more than its limit", "[connection]") {
  ConnectionFixture fixture;
  fixture.begin_read();
  fixture.run_ready();
  CHECK_FALSE(fixture.outcome.has_value());

  fixture.send(std::string(150, 'a'));
  fixture.run_ready();

  REQUIRE(fixture.outcome.has_value());
  CHECK_FALSE(fixture.outcome->error);
  CHECK(fixture.buffer == std::string(100, 'a'));
}

TEST_CASE("a read that waits is cancelled", "[connection]") {
  ConnectionFixture fixture;
  const bool woken_for_nothing = GENERATE(false, true);
  fixture.begin_read();
  fixture.run_ready();
  if (woken_for_nothing) {
    fixture.send("a");
    fixture.steal();
    fixture.run_ready();
  }

  fixture.connection().cancel();
  fixture.run_ready();

  REQUIRE(fixture.outcome.has_value());
  CHECK(fixture.outcome->error == asio::error::operation_aborted);
  fixture.begin_read();
  fixture.run_ready();
  CHECK_FALSE(fixture.outcome.has_value());  // the next one is not
  fixture.send("b");
  fixture.run_ready();
  REQUIRE(fixture.outcome.has_value());
  CHECK(fixture.buffer == "b");
}

TEST_CASE("a read that lets others go first is cancelled too", "[connection]") {
  ConnectionFixture fixture;
  do {
    fixture.send("a");
    fixture.begin_read();
    while (!fixture.has_begun) fixture.run_one();
  } while (fixture.outcome.has_value());
  fixture.steal();

  fixture.connection().cancel();
  fixture.run_ready();

  REQUIRE(fixture.outcome.has_value());
  CHECK(fixture.outcome->error == asio::error::operation_aborted);
}

TEST_CASE("a write goes on as its reader takes it, and can be cancelled", "[connection]") {
  ConnectionFixture fixture;
  const std::string text(32 << 20, 'a');
  fixture.begin_write(text);
  fixture.run_ready();
  CHECK_FALSE(fixture.outcome.has_value());

  SECTION("goes on") {
    std::size_t received = 0;
    while (received < text.size()) {
      received += fixture.receive();
      fixture.run_ready();
    }
    REQUIRE(fixture.outcome.has_value());
    CHECK_FALSE(fixture.outcome->error);
    CHECK(fixture.outcome->bytes == text.size());
  }
  SECTION("is cancelled") {
    fixture.connection().cancel();
    fixture.run_ready();
    REQUIRE(fixture.outcome.has_value());
    CHECK(fixture.outcome->error == asio::error::operation_aborted);
    CHECK(fixture.outcome->bytes < text.size());
  }
}

}  // namespace clusterd::gateway
