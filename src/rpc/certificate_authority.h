#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "rpc/identity.h"
#include "rpc/openssl.h"

namespace clusterd {

// A certificate and its private key (ECDSA P-256) as PEM.
struct IssuedCertificate {
  std::string certificate;
  std::string key;
};

// The small authority of a cluster without a PKI of its own: makes itself, issues certificates
// with SPIFFE ids, and revokes them. For the command line; one thread.
class CertificateAuthority {
 public:
  // A new one for a cluster. INVALID_ARGUMENT: no name for a cluster.
  [[nodiscard]] static absl::StatusOr<CertificateAuthority> create(std::string_view cluster,
                                                                   std::chrono::hours lifetime);
  // From the text of ca.pem and ca.key. INVALID_ARGUMENT: broken, or not made by create().
  [[nodiscard]] static absl::StatusOr<CertificateAuthority> load(std::string_view certificate,
                                                                 std::string_view key);

  // Itself, for ca.pem and ca.key.
  [[nodiscard]] IssuedCertificate own() const;
  [[nodiscard]] const std::string& cluster() const { return cluster_; }

  // A certificate for an identity of this cluster. `hosts` are DNS names and IP addresses at which
  // it can be called. INVALID_ARGUMENT: a host that is neither; FAILED_PRECONDITION: the authority
  // ends before.
  [[nodiscard]] absl::StatusOr<IssuedCertificate> issue(const Identity& identity,
                                                        const std::vector<std::string>& hosts,
                                                        std::chrono::hours lifetime) const;

  // The revocation list that has what `list` has (PEM, empty: none) and the certificate too, valid
  // until this ends. INVALID_ARGUMENT: either is broken, or of another authority.
  [[nodiscard]] absl::StatusOr<std::string> revoke(std::string_view certificate,
                                                   std::string_view list) const;

 private:
  CertificateAuthority(CertificatePtr certificate, KeyPtr key, std::string cluster);

  CertificatePtr certificate_;
  KeyPtr key_;
  std::string cluster_;
};

}  // namespace clusterd
