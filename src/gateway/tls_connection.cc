#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string_view>

#include "gateway/accepted_socket.h"

namespace clusterd::gateway {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kRecordBytes = 16U << 10;  // of data, at most, in a TLS record

struct FreeSession {
  void operator()(SSL* session) const { SSL_free(session); }
};

// OpenSSL on the socket itself, without buffers of its own while nothing comes or goes, so that ten
// thousand idle connections take little.
class TlsConnection final : public Connection {
 public:
  TlsConnection(tcp::socket socket, SSL* session)
      : socket_(std::move(socket)), waits_(socket_), session_(session) {
    SSL_set_fd(session, socket_.native_handle());
    SSL_set_accept_state(session);
    SSL_set_mode(session, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }

  asio::awaitable<error_code> open() override {
    const uint64_t begun = waits_.begin();
    while (true) {
      ERR_clear_error();
      const int result = SSL_do_handshake(session_.get());
      if (result == 1) co_return error_code();
      const error_code error = co_await settle(result, begun);
      if (error) co_return error;
    }
  }

  asio::awaitable<Transferred> read(std::string& buffer, std::size_t limit) override {
    const uint64_t begun = waits_.begin();
    if (++direct_reads_ > kDirectReads) {
      direct_reads_ = 0;
      co_await asio::post(socket_.get_executor(), asio::use_awaitable);
    }
    while (true) {
      std::size_t got = 0;
      const int result = read_now(buffer, limit, got);
      if (result == 1) co_return Transferred{error_code(), got};
      direct_reads_ = 0;
      const error_code error = co_await settle(result, begun);
      if (error) co_return Transferred{error, 0};
    }
  }

  // Small buffers go out as one record.
  asio::awaitable<Transferred> write(std::span<const asio::const_buffer> buffers) override {
    const uint64_t begun = waits_.begin();
    Transferred sum;
    if (asio::buffer_size(buffers) <= kRecordBytes) {
      std::string joined;
      for (const auto& buffer : buffers) {
        joined.append(static_cast<const char*>(buffer.data()), buffer.size());
      }
      sum = co_await write_all(joined, begun);
      co_return sum;
    }
    for (const auto& buffer : buffers) {
      const std::string_view text(static_cast<const char*>(buffer.data()), buffer.size());
      const Transferred sent = co_await write_all(text, begun);
      sum.bytes += sent.bytes;
      sum.error = sent.error;
      if (sent.error) break;
    }
    co_return sum;
  }

  // Without close_notify: HTTP frames its messages, so a cut cannot look like an end.
  void end_writing() override {
    error_code ignored;  // the peer may be gone
    (void)socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void cancel() override { waits_.cancel(); }
  void close(bool reset) override { close_socket(socket_, reset); }

 private:
  int read_now(std::string& buffer, std::size_t limit, std::size_t& got) {
    std::array<char, kRecordBytes> piece;
    ERR_clear_error();
    const int result =
        SSL_read_ex(session_.get(), piece.data(), std::min(limit, piece.size()), &got);
    if (result == 1) buffer.append(piece.data(), got);
    return result;
  }

  asio::awaitable<Transferred> write_all(std::string_view text, uint64_t begun) {
    Transferred sum;
    while (!text.empty()) {
      std::size_t sent = 0;
      ERR_clear_error();
      const int result = SSL_write_ex(session_.get(), text.data(), text.size(), &sent);
      if (result == 1) {
        text.remove_prefix(sent);
        sum.bytes += sent;
        continue;
      }
      sum.error = co_await settle(result, begun);
      if (sum.error) break;
    }
    co_return sum;
  }

  // Waits for what OpenSSL needs to go on; an error where it cannot. Right after the call.
  asio::awaitable<error_code> settle(int result, uint64_t begun) {
    const int need = SSL_get_error(session_.get(), result);
    if (need == SSL_ERROR_ZERO_RETURN) co_return asio::error::eof;
    if (need == SSL_ERROR_WANT_READ || need == SSL_ERROR_WANT_WRITE) {
      const auto event =
          need == SSL_ERROR_WANT_READ ? tcp::socket::wait_read : tcp::socket::wait_write;
      const error_code error = co_await waits_.wait(event, begun);
      co_return error;
    }
    co_return asio::error::connection_reset;
  }

  tcp::socket socket_;
  CancellableWaits waits_;
  const std::unique_ptr<SSL, FreeSession> session_;
  int direct_reads_ = 0;
};

}  // namespace

std::unique_ptr<Connection> make_tls_connection(asio::any_io_executor strand, int descriptor,
                                                bool ipv6, ssl_st* session) {
  return std::make_unique<TlsConnection>(adopt_socket(strand, descriptor, ipv6), session);
}

}  // namespace clusterd::gateway
