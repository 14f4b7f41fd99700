#include "rpc/link_security.h"

#include <utility>

#include "rpc/call_gate.h"
#include "rpc/certificate_authenticator.h"

namespace clusterd {
namespace {

TlsSettings settings_of(const ListenerConfig& listener) {
  return {.table = "grpc_server",
          .crt_file = listener.crt_file,
          .key_file = listener.key_file,
          .ca_file = listener.ca_file,
          .crl_file = listener.crl_file,
          .cluster = listener.cluster,
          .identities = listener.identities};
}

}  // namespace

absl::StatusOr<std::unique_ptr<LinkSecurity>> LinkSecurity::make(const std::string& component,
                                                                 Role role,
                                                                 const ListenerConfig& listener) {
  std::unique_ptr<LinkSecurity> security(new LinkSecurity);
  if (!listener.use_tls && listener.local_callers == kSameUser) {
    auto same_user = std::make_unique<SameUserOnly>();
    security->same_user_ = same_user.get();
    security->authenticator_ = std::move(same_user);
    return security;
  }
  if (!listener.use_tls) {
    security->authenticator_ = std::make_unique<NoAuthentication>();
    return security;
  }
  auto keeper = TlsKeeper::make(component, settings_of(listener));
  if (!keeper.ok()) return keeper.status();
  const std::optional<Identity> ours = (*keeper)->current()->own_identity();
  if (ours && ours->role != role) {
    return absl::InvalidArgumentError("grpc_server.crt_file \"" + listener.crt_file +
                                      "\": is the certificate of " + ours->text() + ", not of a " +
                                      std::string(role_word(role)));
  }
  security->tls_ = *std::move(keeper);
  security->authenticator_ = std::make_unique<CertificateAuthenticator>(*security->tls_);
  return security;
}

std::shared_ptr<grpc::ServerCredentials> LinkSecurity::server_credentials(
    bool demand_certificate, const AccessControl& access) const {
  if (tls_ == nullptr) return grpc::InsecureServerCredentials();
  return tls_->server_credentials(demand_certificate, std::make_shared<CallGate>(access));
}

std::shared_ptr<grpc::ChannelCredentials> LinkSecurity::channel_credentials(
    ExpectedPeer expected) const {
  if (tls_ == nullptr) return grpc::InsecureChannelCredentials();
  return tls_->channel_credentials(std::move(expected));
}

void LinkSecurity::serve_at(const std::vector<std::string>& addresses) {
  if (same_user_ == nullptr) return;
  std::vector<Address> listeners;
  for (const std::string& text : addresses) {
    if (const auto address = parse_address(text); address.ok()) listeners.push_back(*address);
  }
  same_user_->serve_at(std::move(listeners));
}

uint64_t LinkSecurity::generation() const { return tls_ == nullptr ? 0 : tls_->generation(); }

std::string LinkSecurity::own_name() const {
  if (tls_ == nullptr) return "";
  const std::optional<Identity> ours = tls_->current()->own_identity();
  return ours ? ours->name : "";
}

std::string LinkSecurity::cluster() const {
  return tls_ == nullptr ? "" : tls_->current()->cluster();
}

std::optional<std::chrono::system_clock::time_point> LinkSecurity::not_after() const {
  if (tls_ == nullptr) return std::nullopt;
  return tls_->not_after();
}

std::vector<Reloadable> LinkSecurity::reloadables(std::function<void()> then) const {
  std::vector<Reloadable> items;
  if (tls_ != nullptr) items.push_back(tls_->reloadable(std::move(then)));
  return items;
}

}  // namespace clusterd
