#include "core/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/status/status.h"

namespace clusterd {
namespace {

std::optional<in_addr> to_ipv4(const std::string& host) {
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) != 1) return std::nullopt;
  return address;
}

std::optional<in6_addr> to_ipv6(const std::string& host) {
  in6_addr address{};
  if (inet_pton(AF_INET6, host.c_str(), &address) != 1) return std::nullopt;
  return address;
}

absl::Status bad_address(std::string_view text, std::string_view what) {
  return absl::InvalidArgumentError("\"" + std::string(text) + "\" " + std::string(what) +
                                    "; allowed is host:port, as in \"127.0.0.1:50000\"");
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

// Splits at the colon before the port; the host keeps no brackets.
absl::StatusOr<std::pair<std::string, std::string_view>> split(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t close = text.find("]:");
    if (close == std::string_view::npos) return bad_address(text, "has no port after \"]\"");
    std::string host(text.substr(1, close - 1));
    if (!to_ipv6(host)) return bad_address(text, "has no IPv6 address between the brackets");
    return std::pair(std::move(host), text.substr(close + 2));
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return bad_address(text, "has no port");
  if (text.find(':', colon + 1) != std::string_view::npos) {
    return bad_address(text, "has more than one colon (an IPv6 address goes in brackets)");
  }
  std::string host(text.substr(0, colon));
  if (!std::all_of(host.begin(), host.end(), is_host_character)) {
    return bad_address(text, "has a character that no host name has");
  }
  return std::pair(std::move(host), text.substr(colon + 1));
}

}  // namespace

absl::StatusOr<Address> parse_address(std::string_view text) {
  auto parts = split(text);
  if (!parts.ok()) return parts.status();
  const std::string_view digits = parts->second;
  Address address{std::move(parts->first), 0};
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, address.port);
  if (result.ec != std::errc() || result.ptr != end) {
    return bad_address(text, "has a port that is not a number from 0 to 65535");
  }
  return address;
}

std::string format_address(const Address& address) {
  const bool is_ipv6 = address.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

bool is_loopback(std::string_view host) {
  const std::string text(host);
  if (text == "localhost") return true;
  if (const auto address = to_ipv4(text)) return (ntohl(address->s_addr) >> 24U) == 127;
  if (const auto address = to_ipv6(text)) {
    if (IN6_IS_ADDR_V4MAPPED(&*address)) return address->s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&*address);
  }
  return false;
}

bool is_ip_literal(std::string_view host) {
  const std::string text(host);
  return to_ipv4(text).has_value() || to_ipv6(text).has_value();
}

}  // namespace clusterd
