#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rpc/certificate.h"
#include "rpc/identity.h"

namespace clusterd {

// Where one side of TLS has its files, and how it reads the other side's certificates.
struct TlsSettings {
  std::string table;     // of the configuration, for messages: "grpc_server"; may be empty
  std::string crt_file;  // this and key_file empty: a caller that shows a token instead
  std::string key_file;
  std::string ca_file;   // empty: a listener that asks for no certificates
  std::string crl_file;  // empty: nothing is revoked
  std::string cluster;   // empty: that of our own certificate, or any where it names none
  std::map<std::string, std::string> identities;  // DNS name → "worker/db1"
  bool is_own_foreign = false;  // our certificate may come from another authority than callers'
};

// What the other side showed: its certificate and those that lead to its authority.
struct PeerCertificates {
  CertificatePtr leaf;
  std::vector<CertificatePtr> others;

  // INVALID_ARGUMENT: broken, or no certificate. `others` may repeat the first one.
  [[nodiscard]] static absl::StatusOr<PeerCertificates> parse(std::string_view leaf,
                                                              std::string_view others);
};

// Who must be at the other end.
struct ExpectedPeer {
  enum class Kind {
    kCaller,           // whoever calls a listener of ours
    kScheduler,        // the scheduler that a worker calls
    kWorker,           // the worker of that name
    kSchedulerOrHost,  // a scheduler, or a proxy before it whose certificate has that host name
  };
  Kind kind = Kind::kCaller;
  std::string name;
};

// One set of certificates that belong together: ours, the authorities that we trust, what they
// have revoked. Immutable, so that connections of all threads share it; owned by TlsKeeper and by
// those who are verifying with it.
class TlsMaterial {
 public:
  // Reads and checks the files: each parses, the key is the certificate's, the certificate is valid
  // now and, where `ca_file` is given, comes from one of its authorities. INVALID_ARGUMENT names
  // key, file and fault.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<const TlsMaterial>> load(
      const TlsSettings& settings, std::chrono::system_clock::time_point now);

  // The verifier of gRPC and HTTPS alike: who is this? UNAUTHENTICATED: expired, of a foreign
  // authority, revoked, without an identity; PERMISSION_DENIED: of another cluster, or not whom we
  // expect. The message says which certificate and why.
  [[nodiscard]] absl::StatusOr<Identity> verify(const PeerCertificates& peer,
                                                const ExpectedPeer& expected) const;
  // The same for a caller whose connection has been verified, perhaps by an earlier set: what has
  // been revoked or has expired since, and who that is now. Its authority is not asked about.
  [[nodiscard]] absl::StatusOr<Identity> verify_again(
      const PeerCertificates& peer, std::chrono::system_clock::time_point now) const;

  // Our private key and certificate chain as PEM, the key first; empty where we have none.
  [[nodiscard]] const std::string& key_and_chain() const { return key_and_chain_; }
  // The text of ca_file.
  [[nodiscard]] const std::string& authorities() const { return authorities_; }
  // Our own certificate; none where we show none.
  [[nodiscard]] const std::optional<CertificateFacts>& own() const { return own_; }
  // Which cluster others must be of; empty: any.
  [[nodiscard]] const std::string& cluster() const { return cluster_; }
  // Who we are; none where our certificate does not say.
  [[nodiscard]] std::optional<Identity> own_identity() const;
  // What an operator should know although it is no error.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  // A revocation list and the key of the authority that signed it.
  struct RevocationList {
    CrlPtr crl;
    KeyPtr signer;
  };

  TlsMaterial() = default;
  absl::Status load_own(const TlsSettings& settings, std::chrono::system_clock::time_point now);
  absl::Status load_authorities(const TlsSettings& settings);
  absl::Status load_revocations(const TlsSettings& settings,
                                std::chrono::system_clock::time_point now);
  absl::Status check_own_chain(const TlsSettings& settings) const;
  absl::Status load_identities(const TlsSettings& settings);
  // OK where the chain leads to a trusted authority and is meant for `purpose`.
  absl::Status check_chain(X509& leaf, const std::vector<CertificatePtr>& others,
                           int purpose) const;
  absl::Status check_not_revoked(const PeerCertificates& peer) const;
  [[nodiscard]] bool is_revoked(X509& certificate) const;
  [[nodiscard]] absl::StatusOr<Identity> identity_of(const CertificateFacts& facts) const;
  absl::Status check_expected(const absl::StatusOr<Identity>& identity, X509& leaf,
                              const ExpectedPeer& expected) const;

  std::string key_and_chain_;
  std::string authorities_;
  std::optional<CertificateFacts> own_;
  std::vector<CertificatePtr> own_chain_;  // ours first
  StorePtr store_;
  std::vector<CertificatePtr> trusted_;
  std::vector<RevocationList> revocations_;
  std::string cluster_;
  std::map<std::string, Identity> identities_;
  std::vector<std::string> warnings_;
};

}  // namespace clusterd
