#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace clusterd {

// Where something listens or is called.
struct Address {
  std::string host;  // a name, or an IP literal without brackets; empty: every interface
  uint16_t port = 0;

  friend bool operator==(const Address&, const Address&) = default;
};

// "host:port", "[::1]:port" or ":port". INVALID_ARGUMENT says what is wrong and what is allowed.
[[nodiscard]] absl::StatusOr<Address> parse_address(std::string_view text);

// The text that parse_address takes; IPv6 literals in brackets.
[[nodiscard]] std::string format_address(const Address& address);

// True for "localhost", 127.0.0.0/8 and ::1 (mapped IPv4 too). Other names are not resolved.
[[nodiscard]] bool is_loopback(std::string_view host);

// True for an IPv4 or IPv6 literal, without brackets.
[[nodiscard]] bool is_ip_literal(std::string_view host);

}  // namespace clusterd
