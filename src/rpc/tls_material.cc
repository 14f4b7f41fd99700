#include "rpc/tls_material.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace clusterd {
namespace {

using std::chrono::system_clock;

// 112 bits: RSA from 2048 bits on, no SHA-1.
constexpr int kSecurityLevel = 2;

// `grpc_server.crt_file "server.pem"`: what an operator has to look at.
std::string named(const TlsSettings& settings, const char* key, const std::string& path) {
  return settings.table + (settings.table.empty() ? "" : ".") + key + " \"" + path + "\"";
}

absl::Status fault(const std::string& file, const std::string& what) {
  return absl::InvalidArgumentError(file + ": " + what);
}

absl::Status fault(const std::string& file, const absl::Status& why) {
  return fault(file, std::string(why.message()));
}

absl::StatusOr<std::string> read_file(const std::string& name, const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file) content << file.rdbuf();
  if (!file.is_open() || file.bad() || errno == EISDIR) {
    return fault(name, std::string("cannot be read: ") + std::strerror(errno == 0 ? EIO : errno));
  }
  return content.str();
}

// The stack that OpenSSL wants; it owns nothing.
struct StackDeleter {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using Stack = std::unique_ptr<STACK_OF(X509), StackDeleter>;

Stack stack_of(const std::vector<CertificatePtr>& certificates) {
  Stack stack(sk_X509_new_null());
  for (const CertificatePtr& one : certificates) sk_X509_push(stack.get(), one.get());
  return stack;
}

std::string described(const CertificateFacts& facts) {
  std::string name = facts.uris.empty() ? facts.subject : facts.uris.front();
  if (facts.uris.empty() && !facts.dns_names.empty()) name = facts.dns_names.front();
  return "the certificate of " + (name.empty() ? "nobody" : name) + " (serial " + facts.serial +
         ")";
}

std::string reason_of(int error, const CertificateFacts& leaf, const X509* culprit) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "expired at " +
             format_time(culprit == nullptr ? leaf.not_after : facts_of(*culprit).not_after);
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "is not valid before " +
             format_time(culprit == nullptr ? leaf.not_before : facts_of(*culprit).not_before);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "comes from none of the authorities in ca_file (its issuer is " + leaf.issuer + ")";
    case X509_V_ERR_INVALID_PURPOSE:
      return "is not meant for this side of a connection (extended key usage)";
    default:
      return std::string("is refused: ") + X509_verify_cert_error_string(error);
  }
}

}  // namespace

absl::StatusOr<PeerCertificates> PeerCertificates::parse(std::string_view leaf,
                                                         std::string_view others) {
  auto first = parse_certificates(leaf);
  if (!first.ok()) return first.status();
  PeerCertificates peer;
  peer.leaf = std::move(first->front());
  if (others.empty()) return peer;
  auto rest = parse_certificates(others);
  if (!rest.ok()) return rest.status();
  peer.others = *std::move(rest);
  return peer;
}

absl::StatusOr<std::shared_ptr<const TlsMaterial>> TlsMaterial::load(const TlsSettings& settings,
                                                                     system_clock::time_point now) {
  std::shared_ptr<TlsMaterial> material(new TlsMaterial);
  absl::Status status = material->load_authorities(settings);
  if (status.ok()) status = material->load_own(settings, now);
  if (status.ok()) status = material->check_own_chain(settings);
  if (status.ok()) status = material->load_revocations(settings, now);
  if (status.ok()) status = material->load_identities(settings);
  if (!status.ok()) return status;
  return std::shared_ptr<const TlsMaterial>(std::move(material));
}

absl::Status TlsMaterial::load_own(const TlsSettings& settings, system_clock::time_point now) {
  if (settings.crt_file.empty()) return absl::OkStatus();
  const std::string crt_name = named(settings, "crt_file", settings.crt_file);
  const std::string key_name = named(settings, "key_file", settings.key_file);
  const auto crt = read_file(crt_name, settings.crt_file);
  if (!crt.ok()) return crt.status();
  const auto key_text = read_file(key_name, settings.key_file);
  if (!key_text.ok()) return key_text.status();
  auto chain = parse_certificates(*crt);
  if (!chain.ok()) return fault(crt_name, chain.status());
  const auto key = parse_private_key(*key_text);
  if (!key.ok()) return fault(key_name, key.status());
  own_chain_ = *std::move(chain);
  own_ = facts_of(*own_chain_.front());
  if (X509_check_private_key(own_chain_.front().get(), key->get()) != 1) {
    (void)openssl_error();
    return fault(key_name, "is not the key of the certificate in crt_file");
  }
  if (own_->not_after <= now) {
    return fault(crt_name, "expired at " + format_time(own_->not_after));
  }
  if (own_->not_before > now) {
    return fault(crt_name, "is not valid before " + format_time(own_->not_before));
  }
  struct stat info {};
  if (stat(settings.key_file.c_str(), &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    warnings_.push_back(key_name + " can be read by everybody; chmod 0600 it");
  }
  key_and_chain_ = *key_text + "\n" + *crt;
  return absl::OkStatus();
}

absl::Status TlsMaterial::load_authorities(const TlsSettings& settings) {
  store_.reset(X509_STORE_new());
  X509_VERIFY_PARAM* const parameters = X509_STORE_get0_param(store_.get());
  // Each certificate of ca_file is trusted for itself, an intermediate one too.
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_auth_level(parameters, kSecurityLevel);
  if (settings.ca_file.empty()) return absl::OkStatus();
  const std::string name = named(settings, "ca_file", settings.ca_file);
  auto text = read_file(name, settings.ca_file);
  if (!text.ok()) return text.status();
  auto authorities = parse_certificates(*text);
  if (!authorities.ok()) return fault(name, authorities.status());
  for (const CertificatePtr& one : *authorities) X509_STORE_add_cert(store_.get(), one.get());
  trusted_ = *std::move(authorities);
  authorities_ = *std::move(text);
  return absl::OkStatus();
}

absl::Status TlsMaterial::load_revocations(const TlsSettings& settings,
                                           system_clock::time_point now) {
  if (settings.crl_file.empty()) return absl::OkStatus();
  const std::string name = named(settings, "crl_file", settings.crl_file);
  const auto text = read_file(name, settings.crl_file);
  if (!text.ok()) return text.status();
  auto lists = parse_crls(*text);
  if (!lists.ok()) return fault(name, lists.status());
  for (CrlPtr& crl : *lists) {
    KeyPtr signer;
    for (const CertificatePtr& authority : trusted_) {
      const bool same_name = X509_NAME_cmp(X509_CRL_get_issuer(crl.get()),
                                           X509_get_subject_name(authority.get())) == 0;
      KeyPtr key(X509_get_pubkey(authority.get()));
      if (same_name && key != nullptr && X509_CRL_verify(crl.get(), key.get()) == 1) {
        signer = std::move(key);
        break;
      }
    }
    (void)openssl_error();
    if (signer == nullptr) {
      warnings_.push_back(name +
                          ": a revocation list is signed by none of the authorities in ca_file and "
                          "revokes nothing");
      continue;
    }
    const ASN1_TIME* const next = X509_CRL_get0_nextUpdate(crl.get());
    const std::time_t wall = system_clock::to_time_t(now);
    if (next != nullptr && ASN1_TIME_cmp_time_t(next, wall) < 0) {
      warnings_.push_back(name + ": a revocation list is out of date; what it has is used");
    }
    revocations_.push_back({std::move(crl), std::move(signer)});
  }
  return absl::OkStatus();
}

absl::Status TlsMaterial::load_identities(const TlsSettings& settings) {
  for (const auto& [dns_name, text] : settings.identities) {
    auto identity = parse_identity(text);
    if (!identity.ok()) return fault(settings.table + ".identities", identity.status());
    identities_.emplace(dns_name, *std::move(identity));
  }
  cluster_ = settings.cluster;
  if (!cluster_.empty() && !is_cluster_name(cluster_)) {
    return fault(settings.table + ".cluster \"" + cluster_ + "\"",
                 "allowed are lower-case letters, digits, '.', '_' and '-', at most 255 of them");
  }
  if (!cluster_.empty() || !own_) return absl::OkStatus();
  const auto ours = identity_of(*own_);
  if (ours.ok()) cluster_ = ours->cluster;
  return absl::OkStatus();
}

std::optional<Identity> TlsMaterial::own_identity() const {
  if (!own_) return std::nullopt;
  auto identity = identity_of(*own_);
  if (!identity.ok()) return std::nullopt;
  return *std::move(identity);
}

absl::Status TlsMaterial::check_own_chain(const TlsSettings& settings) const {
  if (!own_ || trusted_.empty() || settings.is_own_foreign) return absl::OkStatus();
  absl::Status status = check_chain(*own_chain_.front(), own_chain_, X509_PURPOSE_ANY);
  if (status.ok()) return status;
  return fault(named(settings, "crt_file", settings.crt_file), status);
}

absl::Status TlsMaterial::check_chain(X509& leaf, const std::vector<CertificatePtr>& others,
                                      int purpose) const {
  const Stack untrusted = stack_of(others);
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), store_.get(), &leaf, untrusted.get()) != 1) {
    return absl::InternalError("certificates cannot be checked: " + openssl_error());
  }
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  const CertificateFacts facts = facts_of(leaf);
  const std::string reason = reason_of(X509_STORE_CTX_get_error(context.get()), facts,
                                       X509_STORE_CTX_get_current_cert(context.get()));
  (void)openssl_error();
  return absl::UnauthenticatedError(described(facts) + " " + reason);
}

bool TlsMaterial::is_revoked(X509& certificate) const {
  for (const RevocationList& list : revocations_) {
    X509_REVOKED* entry = nullptr;
    // 2 is "removed from the list", which takes a revocation back.
    if (X509_CRL_get0_by_cert(list.crl.get(), &entry, &certificate) != 1) continue;
    // Two authorities may have one name and give one number: it is the signature that counts.
    if (X509_verify(&certificate, list.signer.get()) == 1) return true;
    (void)openssl_error();
  }
  return false;
}

absl::Status TlsMaterial::check_not_revoked(const PeerCertificates& peer) const {
  std::vector<X509*> all = {peer.leaf.get()};
  for (const CertificatePtr& one : peer.others) all.push_back(one.get());
  for (X509* const one : all) {
    if (!is_revoked(*one)) continue;
    return absl::UnauthenticatedError(described(facts_of(*one)) + " has been revoked");
  }
  return absl::OkStatus();
}

absl::StatusOr<Identity> TlsMaterial::identity_of(const CertificateFacts& facts) const {
  const std::string credential = "certificate:" + facts.sha256;
  if (facts.uris.size() > 1) {
    return absl::UnauthenticatedError(described(facts) + " has more than one URI");
  }
  if (facts.uris.size() == 1) {
    auto identity = parse_spiffe_id(facts.uris.front());
    if (!identity.ok()) {
      return absl::UnauthenticatedError(described(facts) + ": " +
                                        std::string(identity.status().message()));
    }
    identity->credential = credential;
    return identity;
  }
  std::optional<Identity> found;
  for (const std::string& name : facts.dns_names) {
    const auto mapped = identities_.find(name);
    if (mapped == identities_.end()) continue;
    if (found && !(*found == mapped->second)) {
      return absl::UnauthenticatedError(described(facts) +
                                        " has DNS names of more than one identity");
    }
    found = mapped->second;
  }
  if (!found) {
    return absl::UnauthenticatedError(
        described(facts) + " names nobody: neither a SPIFFE id nor a DNS name in `identities`");
  }
  found->cluster = cluster_;
  found->credential = credential;
  return *std::move(found);
}

absl::Status TlsMaterial::check_expected(const absl::StatusOr<Identity>& identity, X509& leaf,
                                         const ExpectedPeer& expected) const {
  using enum ExpectedPeer::Kind;
  if (!identity.ok()) {
    const bool is_host =
        expected.kind == kSchedulerOrHost &&
        (X509_check_host(&leaf, expected.name.data(), expected.name.size(), 0, nullptr) == 1 ||
         X509_check_ip_asc(&leaf, expected.name.c_str(), 0) == 1);
    return is_host ? absl::OkStatus() : identity.status();
  }
  if (!cluster_.empty() && identity->cluster != cluster_) {
    return absl::PermissionDeniedError(identity->text() + " is of cluster \"" + identity->cluster +
                                       "\", this is \"" + cluster_ + "\"");
  }
  if (expected.kind == kCaller) return absl::OkStatus();
  if (expected.kind == kWorker) {
    if (identity->role == Role::kWorker && identity->name == expected.name) return absl::OkStatus();
    return absl::PermissionDeniedError(identity->text() + " is not worker/" + expected.name +
                                       ", which is expected");
  }
  if (identity->role == Role::kScheduler) return absl::OkStatus();
  return absl::PermissionDeniedError(identity->text() + " is no scheduler");
}

absl::StatusOr<Identity> TlsMaterial::verify(const PeerCertificates& peer,
                                             const ExpectedPeer& expected) const {
  const bool calls_us = expected.kind == ExpectedPeer::Kind::kCaller;
  absl::Status status = check_chain(*peer.leaf, peer.others,
                                    calls_us ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
  if (status.ok()) status = check_not_revoked(peer);
  if (!status.ok()) return status;
  auto identity = identity_of(facts_of(*peer.leaf));
  status = check_expected(identity, *peer.leaf, expected);
  if (!status.ok()) return status;
  if (identity.ok()) return identity;
  return Identity{.role = Role::kScheduler, .name = expected.name};  // a proxy, by its host name
}

absl::StatusOr<Identity> TlsMaterial::verify_again(const PeerCertificates& peer,
                                                   system_clock::time_point now) const {
  const CertificateFacts facts = facts_of(*peer.leaf);
  absl::Status status = check_not_revoked(peer);
  if (status.ok() && facts.not_after <= now) {
    status = absl::UnauthenticatedError(described(facts) + " expired at " +
                                        format_time(facts.not_after));
  }
  if (!status.ok()) return status;
  auto identity = identity_of(facts);
  status = check_expected(identity, *peer.leaf, {});
  if (!status.ok()) return status;
  return identity;
}

}  // namespace clusterd
