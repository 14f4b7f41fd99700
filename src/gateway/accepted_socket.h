#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstdint>

#include "gateway/connection.h"

namespace clusterd::gateway {

// After so many reads without a wait, others are let in between: no client's flood has a thread for
// itself.
inline constexpr int kDirectReads = 8;

// An accepted descriptor as a socket of `strand`, set up for answers that go out at once.
[[nodiscard]] asio::ip::tcp::socket adopt_socket(const asio::any_io_executor& strand,
                                                 int descriptor, bool ipv6);

// `reset`: the peer sees an error rather than an end.
void close_socket(asio::ip::tcp::socket& socket, bool reset);

// The waits of a socket's reads and writes, and their end. Asio's own cancel() passes by who is
// between two waits: the first has come to its end, often for nothing, and its handler has yet to
// run. This one is seen by whatever began before it. Owned by the connection, beside the socket; on
// its strand only.
class CancellableWaits {
 public:
  explicit CancellableWaits(asio::ip::tcp::socket& socket) : socket_(socket) {}

  // What a read or a write takes down when it begins, for its waits.
  [[nodiscard]] uint64_t begin() const { return cancels_; }
  // Until the socket may be ready; operation_aborted once cancel() has come since `begun`.
  asio::awaitable<boost::system::error_code> wait(asio::ip::tcp::socket::wait_type event,
                                                  uint64_t begun);
  void cancel();

 private:
  asio::ip::tcp::socket& socket_;
  uint64_t cancels_ = 0;
};

}  // namespace clusterd::gateway
