#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "rpc/authenticator.h"
#include "rpc/tls_keeper.h"

namespace clusterd {

// Tells callers by the certificate of their connection, which the verifier accepted when it was
// made. Asks at each call whether it has expired or been revoked since.
//
// Owned by run_scheduler and run_worker. Any thread. One of the few classes with a mutex (see
// docs/architecture.md#threads): what is known of a certificate is remembered.
class CertificateAuthenticator final : public Authenticator {
 public:
  // `keeper` outlives this.
  explicit CertificateAuthenticator(const TlsKeeper& keeper) : keeper_(keeper) {}

  // UNAUTHENTICATED, PERMISSION_DENIED: as TlsMaterial::verify_again, or there is no certificate.
  [[nodiscard]] absl::StatusOr<Identity> authenticate(const Credentials& shown) const override;

 private:
  struct Known {
    Identity identity;
    std::chrono::system_clock::time_point not_after;
  };

  const TlsKeeper& keeper_;
  mutable std::mutex mutex_;
  mutable uint64_t generation_ = 0;                        // guarded by mutex_
  mutable absl::flat_hash_map<std::string, Known> known_;  // by certificate; guarded by mutex_
};

}  // namespace clusterd
