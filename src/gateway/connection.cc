#include "gateway/connection.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <vector>

namespace clusterd::gateway {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);

tcp::socket adopt(const asio::any_io_executor& strand, int descriptor, bool ipv6) {
  tcp::socket socket(strand);
  error_code ignored;  // a descriptor that is broken already fails at the first read
  (void)socket.assign(ipv6 ? tcp::v6() : tcp::v4(), descriptor, ignored);
  (void)socket.set_option(tcp::no_delay(true), ignored);
  (void)socket.set_option(asio::socket_base::keep_alive(true), ignored);
  return socket;
}

void close_socket(tcp::socket& socket, bool reset) {
  error_code ignored;  // closing what the peer has closed
  if (reset) (void)socket.set_option(asio::socket_base::linger(true, 0), ignored);
  (void)socket.close(ignored);
}

// Writes all buffers to either kind of stream.
template <typename Stream>
asio::awaitable<Transferred> write_all(Stream& stream,
                                       std::span<const asio::const_buffer> buffers) {
  const std::vector<asio::const_buffer> sequence(buffers.begin(), buffers.end());
  const auto [error, bytes] = co_await asio::async_write(stream, sequence, kToken);
  co_return Transferred{error, bytes};
}

class PlainConnection final : public Connection {
 public:
  explicit PlainConnection(tcp::socket socket) : socket_(std::move(socket)) {}

  asio::awaitable<error_code> open() override { co_return error_code(); }
  asio::awaitable<Transferred> read_some(asio::mutable_buffer buffer) override {
    const auto [error, bytes] = co_await socket_.async_read_some(buffer, kToken);
    co_return Transferred{error, bytes};
  }
  asio::awaitable<Transferred> write(std::span<const asio::const_buffer> buffers) override {
    return write_all(socket_, buffers);
  }
  void end_writing() override {
    error_code ignored;  // the peer may be gone
    (void)socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void cancel() override {
    error_code ignored;  // nothing to cancel on a closed socket
    (void)socket_.cancel(ignored);
  }
  void close(bool reset) override { close_socket(socket_, reset); }

 private:
  tcp::socket socket_;
};

class TlsConnection final : public Connection {
 public:
  TlsConnection(tcp::socket socket, asio::ssl::context& context)
      : stream_(std::move(socket), context) {}

  asio::awaitable<error_code> open() override {
    const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kToken);
    co_return error;
  }
  asio::awaitable<Transferred> read_some(asio::mutable_buffer buffer) override {
    const auto [error, bytes] = co_await stream_.async_read_some(buffer, kToken);
    co_return Transferred{error, bytes};
  }
  asio::awaitable<Transferred> write(std::span<const asio::const_buffer> buffers) override {
    return write_all(stream_, buffers);
  }
  // Without close_notify: HTTP frames its messages, so a cut cannot look like an end.
  void end_writing() override {
    error_code ignored;  // the peer may be gone
    (void)stream_.next_layer().shutdown(tcp::socket::shutdown_send, ignored);
  }
  void cancel() override {
    error_code ignored;  // nothing to cancel on a closed socket
    (void)stream_.next_layer().cancel(ignored);
  }
  void close(bool reset) override { close_socket(stream_.next_layer(), reset); }

 private:
  asio::ssl::stream<tcp::socket> stream_;
};

}  // namespace

std::unique_ptr<Connection> make_plain_connection(asio::any_io_executor strand, int descriptor,
                                                  bool ipv6) {
  return std::make_unique<PlainConnection>(adopt(strand, descriptor, ipv6));
}

std::unique_ptr<Connection> make_tls_connection(asio::any_io_executor strand, int descriptor,
                                                bool ipv6, asio::ssl::context& context) {
  return std::make_unique<TlsConnection>(adopt(strand, descriptor, ipv6), context);
}

}  // namespace clusterd::gateway
