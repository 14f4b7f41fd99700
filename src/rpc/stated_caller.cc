#include "rpc/stated_caller.h"

namespace clusterd {
namespace {

constexpr const char* kCaller = "clusterd-caller";
constexpr const char* kCluster = "clusterd-caller-cluster";
constexpr const char* kCredential = "clusterd-caller-credential";
constexpr const char* kAddress = "clusterd-caller-address";
constexpr const char* kPeer = "clusterd-caller-peer";

std::string value_of(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                     const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace

void state_caller(const StatedCaller& caller, grpc::ClientContext& context) {
  context.AddMetadata(kCaller, caller.identity.text());
  context.AddMetadata(kCluster, caller.identity.cluster);
  context.AddMetadata(kCredential, caller.identity.credential);
  context.AddMetadata(kAddress, caller.address);
  context.AddMetadata(kPeer, caller.peer);
}

std::string stated_address(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  return value_of(metadata, kAddress);
}

std::string stated_peer(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  return value_of(metadata, kPeer);
}

absl::StatusOr<Identity> StatedCallers::authenticate(const Credentials& shown) const {
  const std::string text = value_of(shown.metadata, kCaller);
  if (text == anonymous_admin().text()) return anonymous_admin();
  auto identity = parse_identity(text);
  if (!identity.ok()) return absl::UnauthenticatedError("the gateway does not say who calls");
  identity->cluster = value_of(shown.metadata, kCluster);
  identity->credential = value_of(shown.metadata, kCredential);
  if (!rules_.still_holds(*identity, clock_.now().wall)) {
    return absl::UnauthenticatedError("what proved who calls has been revoked, or has expired");
  }
  return identity;
}

}  // namespace clusterd
