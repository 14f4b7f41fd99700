#pragma once

#include "core/clock.h"
#include "rpc/authenticator.h"
#include "rpc/token_store.h"

namespace clusterd {

// Tells callers by the bearer token in their metadata, and those who show none by other means.
//
// Owned by run_scheduler; outlives its servers. Any thread.
class TokenAuthenticator final : public Authenticator {
 public:
  // All outlive this.
  TokenAuthenticator(const TokenStore& tokens, const Authenticator& others, const Clock& clock)
      : tokens_(tokens), others_(others), clock_(clock) {}

  // UNAUTHENTICATED: no bearer token, one that is not known, or has expired; else as `others` says.
  [[nodiscard]] absl::StatusOr<Identity> authenticate(const Credentials& shown) const override;

 private:
  const TokenStore& tokens_;
  const Authenticator& others_;
  const Clock& clock_;
};

}  // namespace clusterd
