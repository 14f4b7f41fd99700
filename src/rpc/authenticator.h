#pragma once

#include <grpcpp/security/auth_context.h>
#include <grpcpp/support/string_ref.h>

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "rpc/identity.h"

namespace clusterd {

// What a call shows of its caller. Points into the call.
struct Credentials {
  const grpc::AuthContext& connection;  // with TLS: the peer's certificate
  const std::multimap<grpc::string_ref, grpc::string_ref>& metadata;
  std::string peer = "";  // gRPC's name of the other end; empty where it is not told
};

// Seam: who calls. Any thread; asked at the begin of each call, and again for each open stream when
// certificates or tokens have been read anew. Must not block.
class Authenticator {
 public:
  virtual ~Authenticator() = default;

  // UNAUTHENTICATED says what was missing or wrong, never what would have been right.
  [[nodiscard]] virtual absl::StatusOr<Identity> authenticate(const Credentials& shown) const = 0;
};

// Where neither TLS nor tokens are configured: everybody is an anonymous administrator.
class NoAuthentication final : public Authenticator {
 public:
  [[nodiscard]] absl::StatusOr<Identity> authenticate(const Credentials& shown) const override;
};

}  // namespace clusterd
