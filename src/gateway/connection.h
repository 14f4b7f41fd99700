#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct ssl_st;

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
  // Appends what has come, at least one byte and at most `limit`, or an error (asio::error::eof at
  // the end). Takes no memory while it waits: most connections do nothing else.
  virtual asio::awaitable<Transferred> read(std::string& buffer, std::size_t limit) = 0;
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
// The same behind TLS, on the server's side; `session` is fresh, and the connection's from here on.
// SIGPIPE is blocked on every thread that uses it.
[[nodiscard]] std::unique_ptr<Connection> make_tls_connection(asio::any_io_executor strand,
                                                              int descriptor, bool ipv6,
                                                              ssl_st* session);

}  // namespace clusterd::gateway
