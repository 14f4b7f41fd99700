#include "rpc/certificate_authenticator.h"

#include <grpc/grpc_security_constants.h>

#include <chrono>
#include <string_view>

namespace clusterd {
namespace {

using std::chrono::system_clock;

constexpr size_t kMostKnown = 10'000;

std::string_view property(const grpc::AuthContext& connection, const char* name) {
  const auto values = connection.FindPropertyValues(name);
  if (values.empty()) return {};
  return {values.front().data(), values.front().size()};
}

}  // namespace

absl::StatusOr<Identity> CertificateAuthenticator::authenticate(const Credentials& shown) const {
  const std::string_view leaf = property(shown.connection, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (leaf.empty()) return absl::UnauthenticatedError("the caller shows no certificate");
  const system_clock::time_point now = system_clock::now();
  const uint64_t generation = keeper_.generation();
  {
    const std::lock_guard lock(mutex_);
    if (generation_ != generation || known_.size() >= kMostKnown) known_.clear();
    generation_ = generation;
    const auto found = known_.find(absl::string_view(leaf.data(), leaf.size()));
    if (found != known_.end() && found->second.not_after > now) return found->second.identity;
  }
  const auto peer = PeerCertificates::parse(
      leaf, property(shown.connection, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME));
  if (!peer.ok()) return absl::UnauthenticatedError(std::string(peer.status().message()));
  auto identity = keeper_.current()->verify_again(*peer, now);
  if (!identity.ok()) return identity;
  const std::lock_guard lock(mutex_);
  if (generation_ == generation) {
    known_.insert_or_assign(std::string(leaf), Known{*identity, facts_of(*peer->leaf).not_after});
  }
  return identity;
}

}  // namespace clusterd
