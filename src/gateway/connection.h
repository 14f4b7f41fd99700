#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace boost::asio::ssl {
class context;
}

namespace clusterd::gateway {

namespace asio = boost::asio;

// What one read or write came to.
struct Transferred {
  boost::system::error_code error;
  std::size_t bytes = 0;
};

// Seam: one client's bytes, plain or TLS. Owned by its HttpSession and used on that session's
// strand only; at most one read and one write at a time. Ends with close() or its destruction.
class Connection {
 public:
  virtual ~Connection() = default;

  // What comes before the first byte of HTTP: nothing, or the TLS handshake.
  virtual asio::awaitable<boost::system::error_code> open() = 0;
  // At least one byte, or an error (asio::error::eof at the end).
  virtual asio::awaitable<Transferred> read_some(asio::mutable_buffer buffer) = 0;
  // All of `buffers`, or an error.
  virtual asio::awaitable<Transferred> write(std::span<const asio::const_buffer> buffers) = 0;
  // Tells the peer that nothing more follows; reading goes on.
  virtual void end_writing() = 0;
  // Makes the running read and write fail with operation_aborted; the connection stays usable.
  virtual void cancel() = 0;
  // Ends it at once. `reset`: the peer sees an error rather than an end.
  virtual void close(bool reset) = 0;
};

// A socket as an accepted file descriptor that belongs to the caller's strand.
[[nodiscard]] std::unique_ptr<Connection> make_plain_connection(asio::any_io_executor strand,
                                                                int descriptor, bool ipv6);
// The same behind TLS; `context` outlives it.
[[nodiscard]] std::unique_ptr<Connection> make_tls_connection(asio::any_io_executor strand,
                                                              int descriptor, bool ipv6,
                                                              asio::ssl::context& context);

}  // namespace clusterd::gateway
