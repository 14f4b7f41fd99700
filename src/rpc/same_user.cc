#include "rpc/same_user.h"

#include <unistd.h>

#include <utility>

#include "rpc/local_peer.h"
#include "rpc/peer.h"

namespace clusterd {

absl::StatusOr<Identity> SameUserOnly::authenticate(const Credentials& shown) const {
  if (!is_serving_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the server is starting");
  }
  const absl::StatusOr<Address> peer = peer_address(shown.peer);
  for (const Address& listener : listeners_) {
    if (!peer.ok()) break;
    const auto user = user_of_peer(*peer, listener);
    if (user.ok() && *user == geteuid()) return anonymous_admin();
  }
  return absl::UnauthenticatedError(
      "the caller is not a process of the user that runs this, which is all that "
      "grpc_server.local_callers lets in without a token");
}

void SameUserOnly::serve_at(std::vector<Address> listeners) {
  listeners_ = std::move(listeners);
  is_serving_.store(true, std::memory_order_release);
}

}  // namespace clusterd
