#include "rpc/forwarded_caller.h"

#include <string>

#include "rpc/peer.h"

namespace clusterd {
namespace {

constexpr const char* kMarker = "clusterd-forwarded";
constexpr std::string_view kGrpcWord = "grpc";
constexpr std::string_view kHttpWord = "http";

// Of the connection, not of the call.
constexpr std::string_view kOwn[] = {"user-agent", "content-type", "te", "host"};

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool goes_along(std::string_view key, Door door) {
  if (key.empty() || key[0] == ':' || starts_with(key, "grpc-") || key == kMarker) return false;
  for (const std::string_view own : kOwn) {
    if (key == own) return false;
  }
  if (key == "authorization") return false;  // it has been looked at
  return door == Door::kHttp || !starts_with(key, "clusterd-caller");
}

absl::Status check_link(const Authenticator& link, const Credentials& shown) {
  const auto peer = link.authenticate(shown);
  if (!peer.ok()) return peer.status();
  if (peer->is_anonymous() || peer->role == Role::kScheduler) return absl::OkStatus();
  return absl::PermissionDeniedError(peer->text() +
                                     " is no scheduler and cannot pass on calls of others");
}

}  // namespace

Door forwarded_door(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  const auto found = metadata.find(kMarker);
  if (found == metadata.end()) return Door::kNone;
  const std::string_view word(found->second.data(), found->second.size());
  return word == kHttpWord ? Door::kHttp : Door::kGrpc;
}

void pass_on(const grpc::CallbackServerContext& call, Door door, const Identity& caller,
             grpc::ClientContext& onward) {
  onward.set_deadline(call.deadline());
  for (const auto& [key, value] : call.client_metadata()) {
    if (!goes_along({key.data(), key.size()}, door)) continue;
    onward.AddMetadata({key.data(), key.size()}, {value.data(), value.size()});
  }
  onward.AddMetadata(kMarker, std::string(door == Door::kHttp ? kHttpWord : kGrpcWord));
  if (door == Door::kHttp) return;
  state_caller({.identity = caller, .address = peer_host(call.peer()), .peer = call.peer()},
               onward);
}

absl::Status check_forwarder(const Authenticator& link, const grpc::ServerContextBase& context) {
  const auto connection = context.auth_context();
  return check_link(
      link,
      {.connection = *connection, .metadata = context.client_metadata(), .peer = context.peer()});
}

absl::StatusOr<Identity> ForwardedCallers::authenticate(const Credentials& shown) const {
  if (forwarded_door(shown.metadata) == Door::kNone) return others_.authenticate(shown);
  if (auto status = check_link(link_, shown); !status.ok()) return status;
  return stated_.authenticate(shown);
}

}  // namespace clusterd
