#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <string>

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

}  // namespace clusterd::gateway
