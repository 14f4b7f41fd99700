#include "rpc/certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <ctime>
#include <utility>

#include "absl/strings/escaping.h"

namespace clusterd {
namespace {

std::string bytes_of(const ASN1_STRING& text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(&text)),
          static_cast<size_t>(ASN1_STRING_length(&text))};
}

std::string text_of(const X509_NAME& name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), &name, 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long length = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(length)};
}

std::string address_of(const ASN1_OCTET_STRING& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(&bytes) == 4 ? AF_INET : AF_INET6;
  const bool valid = ASN1_STRING_length(&bytes) == 4 || ASN1_STRING_length(&bytes) == 16;
  if (!valid) return "";
  inet_ntop(family, ASN1_STRING_get0_data(&bytes), text.data(), text.size());
  return text.data();
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME& time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(&time, &parts) != 1) return {};  // a broken date is long past
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

void add_names(const X509& certificate, CertificateFacts& facts) {
  using Names = std::unique_ptr<GENERAL_NAMES, OpenSslDeleter<GENERAL_NAMES_free>>;
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME& name = *sk_GENERAL_NAME_value(names.get(), i);
    if (name.type == GEN_URI) facts.uris.push_back(bytes_of(*name.d.uniformResourceIdentifier));
    if (name.type == GEN_DNS) facts.dns_names.push_back(bytes_of(*name.d.dNSName));
    if (name.type == GEN_IPADD) facts.ip_addresses.push_back(address_of(*name.d.iPAddress));
  }
}

std::string text_of(const ASN1_INTEGER& integer) {
  using Number = std::unique_ptr<BIGNUM, OpenSslDeleter<BN_free>>;
  const Number number(ASN1_INTEGER_to_BN(&integer, nullptr));
  char* const hex = BN_bn2hex(number.get());
  std::string text = hex == nullptr ? "" : hex;
  OPENSSL_free(hex);
  return text;
}

std::string digest_of(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  X509_digest(&certificate, EVP_sha256(), digest.data(), &length);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), length});
}

// Never asks on a terminal.
int no_password(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

BioPtr reader_of(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Everything of one kind; `read` gives null at the end and where one is broken.
template <typename Pointer, typename Read>
absl::StatusOr<std::vector<Pointer>> parse_all(std::string_view pem, const char* what, Read read) {
  ERR_clear_error();
  const BioPtr bio = reader_of(pem);
  std::vector<Pointer> found;
  while (auto* const one = read(bio.get())) found.emplace_back(one);
  const auto error = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (at_end && !found.empty()) {
    ERR_clear_error();
    return found;
  }
  if (at_end) {
    ERR_clear_error();
    return absl::InvalidArgumentError(std::string("holds no ") + what + " (PEM)");
  }
  return absl::InvalidArgumentError(std::string("holds a broken ") + what + ": " + openssl_error());
}

}  // namespace

std::string openssl_error() {
  std::array<char, 256> text{};
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (error == 0) return "unknown error";
  const char* const reason = ERR_reason_error_string(error);
  if (reason != nullptr) return reason;
  ERR_error_string_n(error, text.data(), text.size());
  return text.data();
}

CertificateFacts facts_of(const X509& certificate) {
  CertificateFacts facts;
  facts.subject = text_of(*X509_get_subject_name(&certificate));
  facts.issuer = text_of(*X509_get_issuer_name(&certificate));
  facts.serial = text_of(*X509_get0_serialNumber(&certificate));
  facts.sha256 = digest_of(certificate);
  facts.not_before = time_of(*X509_get0_notBefore(&certificate));
  facts.not_after = time_of(*X509_get0_notAfter(&certificate));
  // It caches what it finds, which OpenSSL does under a lock of its own.
  facts.is_authority = X509_check_ca(const_cast<X509*>(&certificate)) > 0;
  add_names(certificate, facts);
  return facts;
}

absl::StatusOr<std::vector<CertificatePtr>> parse_certificates(std::string_view pem) {
  return parse_all<CertificatePtr>(pem, "certificate", [](BIO* bio) {
    return PEM_read_bio_X509(bio, nullptr, no_password, nullptr);
  });
}

absl::StatusOr<KeyPtr> parse_private_key(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = reader_of(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (key != nullptr) return key;
  if (pem.find("ENCRYPTED") != std::string_view::npos) {
    ERR_clear_error();
    return absl::InvalidArgumentError("holds a key that is encrypted; a plain one is needed");
  }
  return absl::InvalidArgumentError("holds no private key (PEM): " + openssl_error());
}

absl::StatusOr<std::vector<CrlPtr>> parse_crls(std::string_view pem) {
  return parse_all<CrlPtr>(pem, "revocation list", [](BIO* bio) {
    return PEM_read_bio_X509_CRL(bio, nullptr, no_password, nullptr);
  });
}

std::string describe(const X509_CRL& list) {
  const ASN1_TIME* const next = X509_CRL_get0_nextUpdate(&list);
  std::string text = "revocation list\n  issuer      " + text_of(*X509_CRL_get_issuer(&list)) +
                     "\n  made        " + format_time(time_of(*X509_CRL_get0_lastUpdate(&list))) +
                     "\n  next        " + (next == nullptr ? "" : format_time(time_of(*next))) +
                     "\n";
  auto* const entries = X509_CRL_get_REVOKED(const_cast<X509_CRL*>(&list));
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED& entry = *sk_X509_REVOKED_value(entries, i);
    text += "  revoked     " + text_of(*X509_REVOKED_get0_serialNumber(&entry)) + " at " +
            format_time(time_of(*X509_REVOKED_get0_revocationDate(&entry))) + "\n";
  }
  return text;
}

std::string to_pem(const X509& certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), &certificate);
  char* data = nullptr;
  const long length = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(length)};
}

std::string format_time(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace clusterd
