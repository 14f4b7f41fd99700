#include "rpc/certificate_authority.h"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <utility>

#include "core/address.h"
#include "rpc/certificate.h"

namespace clusterd {
namespace {

using std::chrono::system_clock;

constexpr int kSerialBits = 159;                 // at most 20 bytes, never negative
constexpr auto kSkew = std::chrono::minutes(5);  // clocks of other machines may be behind
constexpr std::string_view kScheme = "spiffe://";

using Extension = std::unique_ptr<X509_EXTENSION, OpenSslDeleter<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, OpenSslDeleter<BN_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, OpenSslDeleter<ASN1_INTEGER_free>>;
using Time = std::unique_ptr<ASN1_TIME, OpenSslDeleter<ASN1_TIME_free>>;

absl::Status failed(const std::string& what) {
  return absl::InternalError(what + ": " + openssl_error());
}

template <typename Write>
std::string written(Write write) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  write(out.get());
  char* data = nullptr;
  const long length = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(length)};
}

std::string to_pem(const EVP_PKEY& key) {
  return written([&key](BIO* out) {
    PEM_write_bio_PrivateKey(out, &key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

Time time_at(system_clock::time_point time) {
  return Time(ASN1_TIME_set(nullptr, system_clock::to_time_t(time)));
}

void add_extension(X509& certificate, X509& issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  X509_add_ext(&certificate, extension.get(), -1);
}

void add_name(X509_NAME& name, const char* field, const std::string& value) {
  X509_NAME_add_entry_by_txt(&name, field, MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(value.data()),
                             static_cast<int>(value.size()), -1, 0);
}

// What every certificate has, without its signature.
CertificatePtr draft(EVP_PKEY& key, const std::string& common_name, const std::string& cluster,
                     system_clock::time_point now, system_clock::time_point end) {
  CertificatePtr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  const Number serial(BN_new());
  BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get()));
  X509_set1_notBefore(certificate.get(), time_at(now - kSkew).get());
  X509_set1_notAfter(certificate.get(), time_at(end).get());
  X509_set_pubkey(certificate.get(), &key);
  X509_NAME& subject = *X509_get_subject_name(certificate.get());
  // The standard allows 64 characters; the whole name is in the URI.
  add_name(subject, "O", cluster.substr(0, 64));
  add_name(subject, "CN", common_name.substr(0, 64));
  return certificate;
}

bool is_dns_name(const std::string& host) {
  const std::string name = host.starts_with("*.") ? host.substr(2) : host;
  return !name.empty() && name.size() <= 253 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ||
                  c == '_';
         });
}

// For the extension "subject alternative name". INVALID_ARGUMENT names the host.
absl::StatusOr<std::string> alternative_names(const Identity& identity,
                                              const std::vector<std::string>& hosts) {
  std::string names = "URI:" + spiffe_id(identity);
  for (const std::string& host : hosts) {
    if (is_ip_literal(host)) {
      names += ",IP:" + host;
    } else if (is_dns_name(host)) {
      names += ",DNS:" + host;
    } else {
      return absl::InvalidArgumentError("host \"" + host +
                                        "\" is neither a DNS name nor an IP address");
    }
  }
  return names;
}

absl::StatusOr<CrlPtr> earlier_list(std::string_view text, const X509& authority) {
  if (text.empty()) return CrlPtr();
  auto lists = parse_crls(text);
  if (!lists.ok()) return lists.status();
  CrlPtr list = std::move(lists->front());
  const KeyPtr key(X509_get_pubkey(const_cast<X509*>(&authority)));
  if (lists->size() > 1 || X509_CRL_verify(list.get(), key.get()) != 1) {
    (void)openssl_error();
    return absl::InvalidArgumentError("the revocation list is not this authority's");
  }
  return list;
}

void add_revoked(X509_CRL& list, const ASN1_INTEGER& serial, const ASN1_TIME& when) {
  X509_REVOKED* const entry = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(entry, const_cast<ASN1_INTEGER*>(&serial));
  X509_REVOKED_set_revocationDate(entry, const_cast<ASN1_TIME*>(&when));
  X509_CRL_add0_revoked(&list, entry);  // takes it over
}

void set_number(X509_CRL& list, const X509_CRL* earlier) {
  const Integer number(earlier == nullptr ? nullptr
                                          : static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(
                                                earlier, NID_crl_number, nullptr, nullptr)));
  const Integer next(ASN1_INTEGER_new());
  ASN1_INTEGER_set_int64(next.get(), (number == nullptr ? 0 : ASN1_INTEGER_get(number.get())) + 1);
  X509_CRL_add1_ext_i2d(&list, NID_crl_number, next.get(), 0, 0);
}

}  // namespace

CertificateAuthority::CertificateAuthority(CertificatePtr certificate, KeyPtr key,
                                           std::string cluster)
    : certificate_(std::move(certificate)), key_(std::move(key)), cluster_(std::move(cluster)) {}

absl::StatusOr<CertificateAuthority> CertificateAuthority::create(std::string_view cluster,
                                                                  std::chrono::hours lifetime) {
  const std::string name(cluster);
  if (!is_cluster_name(name)) {
    return absl::InvalidArgumentError("cluster \"" + name +
                                      "\": allowed are lower-case letters, digits, '.', '_' and "
                                      "'-', 1 to 255 of them");
  }
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return failed("a key cannot be made");
  const system_clock::time_point now = system_clock::now();
  CertificatePtr certificate = draft(*key, "clusterd authority", name, now, now + lifetime);
  X509& self = *certificate;
  X509_set_issuer_name(&self, X509_get_subject_name(&self));
  add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(self, self, NID_subject_key_identifier, "hash");
  add_extension(self, self, NID_subject_alt_name, "URI:" + std::string(kScheme) + name);
  if (X509_sign(&self, key.get(), EVP_sha256()) == 0) return failed("signing");
  return CertificateAuthority(std::move(certificate), std::move(key), name);
}

absl::StatusOr<CertificateAuthority> CertificateAuthority::load(std::string_view certificate,
                                                                std::string_view key) {
  auto chain = parse_certificates(certificate);
  if (!chain.ok()) return chain.status();
  auto secret = parse_private_key(key);
  if (!secret.ok()) return secret.status();
  X509& self = *chain->front();
  if (X509_check_private_key(&self, secret->get()) != 1) {
    (void)openssl_error();
    return absl::InvalidArgumentError("the key is not that of the authority's certificate");
  }
  const CertificateFacts facts = facts_of(self);
  const bool has_cluster = facts.uris.size() == 1 && facts.uris.front().starts_with(kScheme);
  const std::string cluster = has_cluster ? facts.uris.front().substr(kScheme.size()) : "";
  if (!facts.is_authority || !is_cluster_name(cluster)) {
    return absl::InvalidArgumentError("is no authority that `clusterd tls init` made");
  }
  return CertificateAuthority(std::move(chain->front()), *std::move(secret), cluster);
}

IssuedCertificate CertificateAuthority::own() const {
  return {.certificate = clusterd::to_pem(*certificate_), .key = to_pem(*key_)};
}

absl::StatusOr<IssuedCertificate> CertificateAuthority::issue(const Identity& identity,
                                                              const std::vector<std::string>& hosts,
                                                              std::chrono::hours lifetime) const {
  Identity ours = identity;
  ours.cluster = cluster_;
  const auto names = alternative_names(ours, hosts);
  if (!names.ok()) return names.status();
  const system_clock::time_point now = system_clock::now();
  const system_clock::time_point last = facts_of(*certificate_).not_after;
  if (now + lifetime > last) {
    return absl::FailedPreconditionError("the authority's own certificate ends before, at " +
                                         format_time(last) + "; choose fewer days");
  }
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return failed("a key cannot be made");
  const CertificatePtr certificate = draft(*key, ours.name, cluster_, now, now + lifetime);
  X509& leaf = *certificate;
  X509_set_issuer_name(&leaf, X509_get_subject_name(certificate_.get()));
  const bool listens = ours.role == Role::kScheduler || ours.role == Role::kWorker;
  add_extension(leaf, *certificate_, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(leaf, *certificate_, NID_key_usage, "critical,digitalSignature");
  add_extension(leaf, *certificate_, NID_ext_key_usage,
                listens ? "serverAuth,clientAuth" : "clientAuth");
  add_extension(leaf, *certificate_, NID_subject_key_identifier, "hash");
  add_extension(leaf, *certificate_, NID_authority_key_identifier, "keyid:always");
  add_extension(leaf, *certificate_, NID_subject_alt_name, *names);
  if (X509_sign(&leaf, key_.get(), EVP_sha256()) == 0) return failed("signing");
  return IssuedCertificate{.certificate = clusterd::to_pem(leaf), .key = to_pem(*key)};
}

absl::StatusOr<std::string> CertificateAuthority::revoke(std::string_view certificate,
                                                         std::string_view list) const {
  const auto revoked = parse_certificates(certificate);
  if (!revoked.ok()) return revoked.status();
  X509& subject = *revoked->front();
  if (X509_verify(&subject, key_.get()) != 1) {
    (void)openssl_error();
    return absl::InvalidArgumentError("the certificate is not this authority's");
  }
  const auto earlier = earlier_list(list, *certificate_);
  if (!earlier.ok()) return earlier.status();
  const CrlPtr fresh(X509_CRL_new());
  X509_CRL_set_version(fresh.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(fresh.get(), X509_get_subject_name(certificate_.get()));
  const Time now = time_at(system_clock::now());
  X509_CRL_set1_lastUpdate(fresh.get(), now.get());
  X509_CRL_set1_nextUpdate(fresh.get(), X509_get0_notAfter(certificate_.get()));
  auto* const entries = *earlier == nullptr ? nullptr : X509_CRL_get_REVOKED(earlier->get());
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* const entry = sk_X509_REVOKED_value(entries, i);
    const ASN1_INTEGER* const serial = X509_REVOKED_get0_serialNumber(entry);
    if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(&subject)) == 0) continue;
    add_revoked(*fresh, *serial, *X509_REVOKED_get0_revocationDate(entry));
  }
  add_revoked(*fresh, *X509_get0_serialNumber(&subject), *now);
  set_number(*fresh, earlier->get());
  X509_CRL_sort(fresh.get());
  if (X509_CRL_sign(fresh.get(), key_.get(), EVP_sha256()) == 0) return failed("signing");
  return written([&fresh](BIO* out) { PEM_write_bio_X509_CRL(out, fresh.get()); });
}

}  // namespace clusterd
