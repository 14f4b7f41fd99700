#include "core/client_name.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

namespace clusterd {

std::string client_name(const std::string& address) {
  in6_addr ipv6{};
  if (inet_pton(AF_INET6, address.c_str(), &ipv6) != 1) return address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
    return inet_ntop(AF_INET, &ipv6.s6_addr[12], text.data(), text.size());
  }
  std::memset(&ipv6.s6_addr[8], 0, 8);
  return std::string(inet_ntop(AF_INET6, &ipv6, text.data(), text.size())) + "/64";
}

}  // namespace clusterd
