#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "core/address.h"

namespace clusterd {

// The user whose process opened the TCP connection from `peer` to `listener`, both loopback IP
// addresses of this machine, while the connection is open on that side. The kernel is asked about
// this one connection (sock_diag(7)) or, where it does not answer, its table of all of them is
// read. NOT_FOUND: the peer has closed it, or is no process here.
[[nodiscard]] absl::StatusOr<uid_t> user_of_peer(const Address& peer, const Address& listener);

}  // namespace clusterd
