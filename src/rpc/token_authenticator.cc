#include "rpc/token_authenticator.h"

#include <string_view>

namespace clusterd {

absl::StatusOr<Identity> TokenAuthenticator::authenticate(const Credentials& shown) const {
  const auto found = shown.metadata.find("authorization");
  if (found == shown.metadata.end()) return others_.authenticate(shown);
  const auto secret = bearer_secret({found->second.data(), found->second.size()});
  if (!secret.ok()) return secret.status();
  return tokens_.identify(*secret, clock_.now().wall);
}

}  // namespace clusterd
