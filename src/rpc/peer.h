#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/address.h"

namespace clusterd {

// The IP address in gRPC's name of a peer ("ipv4:127.0.0.1:1234", "ipv6:%5B::1%5D:1234"), without
// brackets; empty for any other kind.
[[nodiscard]] std::string peer_host(std::string_view peer);

// The same with its port. INVALID_ARGUMENT: any other kind.
[[nodiscard]] absl::StatusOr<Address> peer_address(std::string_view peer);

}  // namespace clusterd
