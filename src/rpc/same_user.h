#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "core/address.h"
#include "rpc/authenticator.h"

namespace clusterd {

// For a server on loopback without TLS: processes of the user that runs it are anonymous
// administrators, everybody else is nobody (grpc_server.local_callers = "same_user").
//
// Owned by a LinkSecurity. Any thread.
class SameUserOnly final : public Authenticator {
 public:
  // UNAUTHENTICATED: a process of somebody else. UNAVAILABLE: serve_at() is still to come.
  [[nodiscard]] absl::StatusOr<Identity> authenticate(const Credentials& shown) const override;

  // Where the server listens, all of it; at most once. The kernel is asked about connections there.
  void serve_at(std::vector<Address> listeners);

 private:
  std::vector<Address> listeners_;  // constant once `is_serving_`
  std::atomic<bool> is_serving_ = false;
};

}  // namespace clusterd
