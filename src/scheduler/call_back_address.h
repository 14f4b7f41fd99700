#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace clusterd {

// Where to call a worker that gave this address from `peer` (gRPC's name for the other end): its
// own words, with the caller's host where they name none. Without a port, `default_port`; 0: it
// must have one. INVALID_ARGUMENT with field `address`.
[[nodiscard]] absl::StatusOr<std::string> call_back_address(const std::string& advertised,
                                                            const std::string& peer,
                                                            uint16_t default_port = 0);

}  // namespace clusterd
