#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace clusterd {

// Some IP addresses: one, or all with the same first bits. An IPv4 address and the IPv6 one that
// stands for it are the same.
class IpNetwork {
 public:
  // "192.0.2.7", "10.0.0.0/8", "::1", "2001:db8::/32". INVALID_ARGUMENT: another form, or bits
  // beyond the prefix that are not 0.
  [[nodiscard]] static absl::StatusOr<IpNetwork> parse(std::string_view text);

  // False for what is no IP address.
  [[nodiscard]] bool contains(const std::string& address) const;

 private:
  using Bytes = std::array<uint8_t, 16>;
  IpNetwork(Bytes bytes, unsigned bits) : bytes_(bytes), bits_(bits) {}

  Bytes bytes_;
  unsigned bits_;  // of the 128
};

// Whether one of them does.
[[nodiscard]] bool contains(const std::vector<IpNetwork>& networks, const std::string& address);

}  // namespace clusterd
