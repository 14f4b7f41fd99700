#include "rpc/https_security.h"

#include <utility>

#include "core/log.h"
#include "rpc/certificate.h"
#include "rpc/openssl.h"

namespace clusterd {
namespace {

using std::chrono::system_clock;

// Forward secrecy and authenticated encryption, as on gRPC; TLS 1.3 has nothing else.
constexpr const char* kSuites = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr int kSecurityLevel = 2;  // RSA from 2048 bits on, no SHA-1

absl::Status unusable(const char* what) {
  return absl::InvalidArgumentError(std::string("http_server.crt_file: ") + what + ": " +
                                    openssl_error());
}

absl::Status use_own(SSL_CTX& context, const std::string& key_and_chain) {
  const auto key = parse_private_key(key_and_chain);
  if (!key.ok()) return key.status();
  const auto chain = parse_certificates(key_and_chain);
  if (!chain.ok()) return chain.status();
  if (SSL_CTX_use_certificate(&context, chain->front().get()) != 1) {
    return unusable("the certificate cannot be used");
  }
  for (size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(&context, (*chain)[i].get()) != 1) {
      return unusable("the chain cannot be used");
    }
  }
  if (SSL_CTX_use_PrivateKey(&context, key->get()) != 1) {
    return unusable("the key cannot be used");
  }
  return absl::OkStatus();
}

PeerCertificates shown_in(X509_STORE_CTX& context) {
  PeerCertificates shown;
  X509* const leaf = X509_STORE_CTX_get0_cert(&context);
  X509_up_ref(leaf);
  shown.leaf.reset(leaf);
  STACK_OF(X509)* const others = X509_STORE_CTX_get0_untrusted(&context);
  for (int i = 0; i < sk_X509_num(others); ++i) {
    X509* const one = sk_X509_value(others, i);
    X509_up_ref(one);
    shown.others.emplace_back(one);
  }
  return shown;
}

}  // namespace

absl::Status HttpsPeer::accept(PeerCertificates shown) {
  const uint64_t generation = keeper_.generation();
  auto identity = keeper_.current()->verify(shown, ExpectedPeer{});
  if (!identity.ok()) return identity.status();
  not_after_ = facts_of(*shown.leaf).not_after;
  shown_ = std::move(shown);
  known_ = *std::move(identity);
  generation_ = generation;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Identity>> HttpsPeer::identity() const {
  if (shown_.leaf == nullptr) return std::nullopt;
  const system_clock::time_point now = system_clock::now();
  const uint64_t generation = keeper_.generation();
  if (generation == generation_ && now < not_after_) return known_;
  auto identity = keeper_.current()->verify_again(shown_, now);
  if (!identity.ok()) return identity.status();
  known_ = *std::move(identity);
  generation_ = generation;
  return known_;
}

absl::StatusOr<std::unique_ptr<HttpsSecurity>> HttpsSecurity::make(const ListenerConfig& listener) {
  auto keeper = TlsKeeper::make("scheduler", {.table = "http_server",
                                              .crt_file = listener.crt_file,
                                              .key_file = listener.key_file,
                                              .ca_file = listener.ca_file,
                                              .crl_file = listener.crl_file,
                                              .cluster = listener.cluster,
                                              .identities = listener.identities,
                                              .is_own_foreign = true});
  if (!keeper.ok()) return keeper.status();
  std::unique_ptr<HttpsSecurity> security(new HttpsSecurity(*std::move(keeper)));
  if (const absl::Status status = security->adopt(); !status.ok()) return status;
  return security;
}

absl::Status HttpsSecurity::adopt() {
  const auto material = keeper_->current();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_security_level(context.get(), kSecurityLevel);
  SSL_CTX_set_cipher_list(context.get(), kSuites);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (const absl::Status status = use_own(*context, material->key_and_chain()); !status.ok()) {
    return status;
  }
  if (!material->authorities().empty()) {
    // A session that is taken up again would not be verified again.
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context.get(), 0);
    const auto authorities = parse_certificates(material->authorities());
    if (!authorities.ok()) return authorities.status();
    for (const CertificatePtr& one : *authorities) SSL_CTX_add_client_CA(context.get(), one.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context.get(), &HttpsSecurity::verify, nullptr);
  }
  context_ = std::move(context);
  return absl::OkStatus();
}

int HttpsSecurity::verify(X509_STORE_CTX* context, void* /*unused*/) {
  auto* const session =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const peer = static_cast<HttpsPeer*>(SSL_get_app_data(session));
  const absl::Status status = peer->accept(shown_in(*context));
  if (status.ok()) return 1;
  log_warning("scheduler", "a caller's certificate is refused",
              {{"table", "http_server"}, {"reason", std::string(status.message())}});
  X509_STORE_CTX_set_error(context, X509_V_ERR_CERT_REJECTED);
  return 0;
}

std::unique_ptr<HttpsPeer> HttpsSecurity::new_peer() const {
  return std::make_unique<HttpsPeer>(*keeper_);
}

SSL* HttpsSecurity::new_session(HttpsPeer& peer) const {
  SSL* const session = SSL_new(context_.load().get());
  SSL_set_app_data(session, &peer);
  return session;
}

Reloadable HttpsSecurity::reloadable(std::function<void()> then) {
  return keeper_->reloadable([this, then = std::move(then)] {
    if (const absl::Status status = adopt(); !status.ok()) {
      log_error("scheduler", "new connections go on with the last certificate",
                {{"error", status}});
    }
    then();
  });
}

}  // namespace clusterd
