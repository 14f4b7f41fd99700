#pragma once

#include <string>

namespace clusterd {

// Who shares in one client's limits: an IPv4 address, or the /64 network of an IPv6 one, all of
// which whoever has one address of it has. What is no IP address is returned as it is.
[[nodiscard]] std::string client_name(const std::string& address);

}  // namespace clusterd
