#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "rpc/openssl.h"

namespace clusterd {

// What one X.509 certificate says.
struct CertificateFacts {
  std::string subject;  // RFC 2253: "CN=db1"
  std::string issuer;
  std::string serial;  // hexadecimal
  std::string sha256;  // of all of it, hexadecimal
  std::vector<std::string> uris;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;
  bool is_authority = false;
};

[[nodiscard]] CertificateFacts facts_of(const X509& certificate);

// Every certificate of a PEM text, in its order. INVALID_ARGUMENT: there is none, or one of them
// is broken.
[[nodiscard]] absl::StatusOr<std::vector<CertificatePtr>> parse_certificates(std::string_view pem);

// The first private key of a PEM text. INVALID_ARGUMENT: there is none, or it is encrypted.
[[nodiscard]] absl::StatusOr<KeyPtr> parse_private_key(std::string_view pem);

// Every certificate revocation list of a PEM text. INVALID_ARGUMENT: there is none, or one of them
// is broken.
[[nodiscard]] absl::StatusOr<std::vector<CrlPtr>> parse_crls(std::string_view pem);

// What a revocation list says, in lines for people.
[[nodiscard]] std::string describe(const X509_CRL& list);

[[nodiscard]] std::string to_pem(const X509& certificate);

// "2026-05-01T12:00:00Z"
[[nodiscard]] std::string format_time(std::chrono::system_clock::time_point time);

}  // namespace clusterd
