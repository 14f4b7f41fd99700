#include "gateway/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <vector>

#include "gateway/accepted_socket.h"

namespace clusterd::gateway {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPieceBytes = 16U << 10;
// Appends what has come already; would_block where that is nothing.
Transferred receive_now(int descriptor, std::string& buffer, std::size_t limit) {
  std::array<char, kPieceBytes> piece;
  const ssize_t got = ::recv(descriptor, piece.data(), std::min(limit, piece.size()), MSG_DONTWAIT);
  if (got == 0) return {asio::error::eof, 0};
  if (got < 0) {
    const bool is_nothing = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    if (is_nothing) return {asio::error::would_block, 0};
    return {error_code(errno, boost::system::system_category()), 0};
  }
  const auto size = static_cast<std::size_t>(got);
  buffer.append(piece.data(), size);
  return {error_code(), size};
}

// Sends what the socket takes at once, and leaves the rest in `rest`.
Transferred send_now(tcp::socket& socket, std::vector<asio::const_buffer>& rest) {
  Transferred sent;
  sent.bytes = socket.write_some(rest, sent.error);
  std::size_t taken = sent.bytes;
  while (!rest.empty() && taken >= rest.front().size()) {
    taken -= rest.front().size();
    rest.erase(rest.begin());
  }
  if (!rest.empty()) rest.front() += taken;
  return sent;
}

class PlainConnection final : public Connection {
 public:
  explicit PlainConnection(tcp::socket socket) : socket_(std::move(socket)), waits_(socket_) {}

  asio::awaitable<error_code> open() override { co_return error_code(); }
  asio::awaitable<Transferred> read(std::string& buffer, std::size_t limit) override {
    const uint64_t begun = waits_.begin();
    if (++direct_reads_ > kDirectReads) {
      direct_reads_ = 0;
      co_await asio::post(socket_.get_executor(), asio::use_awaitable);
    }
    while (true) {
      const Transferred got = receive_now(socket_.native_handle(), buffer, limit);
      if (got.error != asio::error::would_block) co_return got;
      direct_reads_ = 0;
      const error_code error = co_await waits_.wait(tcp::socket::wait_read, begun);
      if (error) co_return Transferred{error, 0};
    }
  }
  asio::awaitable<Transferred> write(std::span<const asio::const_buffer> buffers) override {
    const uint64_t begun = waits_.begin();
    std::vector<asio::const_buffer> rest(buffers.begin(), buffers.end());
    Transferred sum;
    while (!rest.empty() && !sum.error) {
      const Transferred sent = send_now(socket_, rest);
      sum.bytes += sent.bytes;
      sum.error = sent.error;
      if (sent.error == asio::error::would_block) {
        sum.error = co_await waits_.wait(tcp::socket::wait_write, begun);
      }
    }
    co_return sum;
  }
  void end_writing() override {
    error_code ignored;  // the peer may be gone
    (void)socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void cancel() override { waits_.cancel(); }
  void close(bool reset) override { close_socket(socket_, reset); }

 private:
  tcp::socket socket_;
  CancellableWaits waits_;
  int direct_reads_ = 0;
};

}  // namespace

tcp::socket adopt_socket(const asio::any_io_executor& strand, int descriptor, bool ipv6) {
  tcp::socket socket(strand);
  error_code ignored;  // a descriptor that is broken already fails at the first read
  (void)socket.assign(ipv6 ? tcp::v6() : tcp::v4(), descriptor, ignored);
  (void)socket.set_option(tcp::no_delay(true), ignored);
  (void)socket.set_option(asio::socket_base::keep_alive(true), ignored);
  (void)socket.non_blocking(true, ignored);
  return socket;
}

asio::awaitable<error_code> CancellableWaits::wait(tcp::socket::wait_type event, uint64_t begun) {
  if (cancels_ != begun) co_return asio::error::operation_aborted;
  const auto [error] = co_await socket_.async_wait(event, kToken);
  co_return error;
}

void CancellableWaits::cancel() {
  ++cancels_;
  error_code ignored;  // nothing to cancel on a closed socket
  (void)socket_.cancel(ignored);
}

void close_socket(tcp::socket& socket, bool reset) {
  error_code ignored;  // closing what the peer has closed
  if (reset) (void)socket.set_option(asio::socket_base::linger(true, 0), ignored);
  (void)socket.close(ignored);
}

std::unique_ptr<Connection> make_plain_connection(asio::any_io_executor strand, int descriptor,
                                                  bool ipv6) {
  return std::make_unique<PlainConnection>(adopt_socket(strand, descriptor, ipv6));
}

}  // namespace clusterd::gateway
