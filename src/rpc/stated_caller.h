#pragma once

#include <grpcpp/client_context.h>

#include <map>
#include <string>

#include "rpc/authenticator.h"
#include "rpc/caller_rules.h"

namespace clusterd {

// For whom the HTTP gateway calls, and from where that caller came.
struct StatedCaller {
  Identity identity;
  std::string address;  // IP address of the client
  std::string peer;     // of the other end of its connection, which may be a proxy's
};

// Puts it into the metadata of a call on the in-process channel of the gateway, where
// StatedCallers reads it. On no other channel does anybody read it.
void state_caller(const StatedCaller& caller, grpc::ClientContext& context);

// The addresses that state_caller() put there; empty: none.
[[nodiscard]] std::string stated_address(
    const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);
[[nodiscard]] std::string stated_peer(
    const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

// Believes what the gateway says of its callers, for as long as what proved it holds. For the
// server without a port that nobody but the gateway can reach. Any thread; owned by run_scheduler.
class StatedCallers final : public Authenticator {
 public:
  // Both outlive this.
  StatedCallers(const CallerRules& rules, const Clock& clock) : rules_(rules), clock_(clock) {}

  [[nodiscard]] absl::StatusOr<Identity> authenticate(const Credentials& shown) const override;

 private:
  const CallerRules& rules_;
  const Clock& clock_;
};

}  // namespace clusterd
