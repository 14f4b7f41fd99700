#include "core/ip_network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace clusterd {
namespace {

using Bytes = std::array<uint8_t, 16>;

constexpr unsigned kMappedBits = 96;  // of an IPv4 address as an IPv6 one, before its own

struct Parsed {
  Bytes bytes;
  bool is_ipv4;
};

std::optional<Parsed> parse_ip(const std::string& text) {
  Parsed parsed{};
  in_addr ipv4{};
  if (inet_pton(AF_INET, text.c_str(), &ipv4) == 1) {
    parsed.is_ipv4 = true;
    parsed.bytes[10] = parsed.bytes[11] = 0xFF;
    const auto* bytes = reinterpret_cast<const uint8_t*>(&ipv4);
    std::copy(bytes, bytes + sizeof ipv4, parsed.bytes.begin() + kMappedBits / 8);
    return parsed;
  }
  if (inet_pton(AF_INET6, text.c_str(), parsed.bytes.data()) == 1) return parsed;
  return std::nullopt;
}

uint8_t mask_of(unsigned bits, size_t index) {
  const unsigned before = static_cast<unsigned>(index) * 8;
  if (bits >= before + 8) return 0xFF;
  if (bits <= before) return 0;
  return static_cast<uint8_t>((0xFF00U >> (bits - before)) & 0xFFU);
}

}  // namespace

absl::StatusOr<IpNetwork> IpNetwork::parse(std::string_view text) {
  const auto bad = [text](const char* why) {
    return absl::InvalidArgumentError("\"" + std::string(text) + "\" " + why);
  };
  const size_t slash = text.find('/');
  const auto address = parse_ip(std::string(text.substr(0, slash)));
  if (!address) return bad("is neither an IP address nor a network such as 10.0.0.0/8");
  const unsigned most = address->is_ipv4 ? 32 : 128;
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (error != std::errc() || end != number.data() + number.size() || bits > most) {
      return bad(address->is_ipv4 ? "needs a number from 0 to 32 after the slash"
                                  : "needs a number from 0 to 128 after the slash");
    }
  }
  if (address->is_ipv4) bits += kMappedBits;
  for (size_t i = 0; i < address->bytes.size(); ++i) {
    if ((address->bytes[i] & ~mask_of(bits, i)) != 0) return bad("has bits beyond its prefix");
  }
  return IpNetwork(address->bytes, bits);
}

bool IpNetwork::contains(const std::string& address) const {
  const auto parsed = parse_ip(address);
  if (!parsed) return false;
  for (size_t i = 0; i < bytes_.size(); ++i) {
    if ((parsed->bytes[i] & mask_of(bits_, i)) != bytes_[i]) return false;
  }
  return true;
}

bool contains(const std::vector<IpNetwork>& networks, const std::string& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&address](const IpNetwork& network) { return network.contains(address); });
}

}  // namespace clusterd
