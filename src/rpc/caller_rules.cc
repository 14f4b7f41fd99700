#include "rpc/caller_rules.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "core/address.h"

namespace clusterd {
namespace {

absl::StatusOr<Identity> identify_forwarded(std::string_view text) {
  auto identity = parse_identity(text);
  const bool is_client =
      identity.ok() && identity->role != Role::kScheduler && identity->role != Role::kWorker;
  if (is_client) {
    identity->credential = "proxy";
    return identity;
  }
  if (text.empty()) {
    return absl::UnauthenticatedError(
        "the proxy names nobody: a bearer token or its header Clusterd-Client is needed");
  }
  return absl::UnauthenticatedError(
      "the proxy's Clusterd-Client is no client: client/reader/<name>, client/operator/<name> or "
      "client/admin/<name> is expected");
}

}  // namespace

absl::StatusOr<Identity> CallerRules::identify_bearer(std::string_view authorization,
                                                      WallTime now) const {
  const auto secret = bearer_secret(authorization);
  if (!secret.ok()) return secret.status();
  if (settings_.tokens == nullptr) {
    return absl::UnauthenticatedError(
        "there are no bearer tokens here: set http_server.tokens_file");
  }
  return settings_.tokens->identify(*secret, now);
}

absl::StatusOr<Identity> CallerRules::identify_nobody(const ShownCredentials& shown) const {
  if (settings_.tokens != nullptr && !settings_.same_user_only) {
    return absl::UnauthenticatedError(settings_.asks_certificates
                                          ? "a bearer token or a client certificate is needed"
                                          : "a bearer token is needed");
  }
  if (settings_.asks_certificates) {
    return absl::UnauthenticatedError("a client certificate is needed");
  }
  if (settings_.same_user_only && !(shown.is_same_user && shown.is_same_user())) {
    return absl::UnauthenticatedError(
        "the caller is not a process of the user that runs this: a bearer token is needed");
  }
  return anonymous_admin();
}

absl::StatusOr<Identity> CallerRules::identify(const ShownCredentials& shown, WallTime now) const {
  if (!shown.authorization.empty()) return identify_bearer(shown.authorization, now);
  // A proxy is never its clients: without a name for one of them it calls for nobody.
  if (is_proxy(shown.peer)) return identify_forwarded(shown.forwarded_client);
  if (shown.certificate) return *shown.certificate;
  return identify_nobody(shown);
}

bool CallerRules::still_holds(const Identity& identity, WallTime now) const {
  if (!identity.credential.starts_with(kTokenCredential)) return true;
  return settings_.tokens != nullptr && settings_.tokens->is_valid(identity, now);
}

std::string CallerRules::client_address(const std::string& peer,
                                        std::string_view forwarded_for) const {
  std::string address = peer;
  const std::vector<std::string> hops =
      absl::StrSplit(absl::string_view(forwarded_for.data(), forwarded_for.size()), ',');
  for (auto hop = hops.rbegin(); hop != hops.rend() && is_proxy(address); ++hop) {
    const std::string text(absl::StripAsciiWhitespace(*hop));
    if (!is_ip_literal(text)) break;
    address = text;
  }
  return address;
}

}  // namespace clusterd
