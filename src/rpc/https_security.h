#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/config.h"
#include "core/reloader.h"
#include "rpc/identity.h"
#include "rpc/tls_keeper.h"

struct ssl_ctx_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace clusterd {

// The other end of one HTTPS connection: the certificate that it showed, if it did.
//
// Owned by its session; on that session's strand only.
class HttpsPeer {
 public:
  // `keeper` outlives this.
  explicit HttpsPeer(const TlsKeeper& keeper) : keeper_(keeper) {}
  HttpsPeer(const HttpsPeer&) = delete;
  HttpsPeer& operator=(const HttpsPeer&) = delete;

  // Who it is now; none where it showed no certificate. UNAUTHENTICATED, PERMISSION_DENIED: what it
  // showed has expired or been revoked since.
  [[nodiscard]] absl::StatusOr<std::optional<Identity>> identity() const;

 private:
  friend class HttpsSecurity;
  // At the end of the handshake: whether it is let in.
  [[nodiscard]] absl::Status accept(PeerCertificates shown);

  const TlsKeeper& keeper_;
  PeerCertificates shown_;  // without a leaf: none
  std::chrono::system_clock::time_point not_after_;
  mutable std::optional<Identity> known_;  // as of generation_
  mutable uint64_t generation_ = 0;
};

// TLS of the HTTPS listener: its certificate, which is reloaded, and the verifier of its callers'.
//
// Owned by HttpGateway; outlives its connections. new_session() on any thread, the functions of
// reloadable() on one at a time.
class HttpsSecurity {
 public:
  // INVALID_ARGUMENT names key, file and fault. With `ca_file` callers are asked for a certificate;
  // who shows none may show a token.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<HttpsSecurity>> make(
      const ListenerConfig& listener);
  HttpsSecurity(const HttpsSecurity&) = delete;
  HttpsSecurity& operator=(const HttpsSecurity&) = delete;

  [[nodiscard]] std::unique_ptr<HttpsPeer> new_peer() const;
  // The server's side of a connection, the caller's to free. `peer` outlives its handshake.
  [[nodiscard]] ssl_st* new_session(HttpsPeer& peer) const;
  // For a Reloader; `then` follows each reload that succeeded, and
  // comes once a minute, for certificates that have ended.
  [[nodiscard]] Reloadable reloadable(std::function<void()> then);
  // The end of our certificate.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> not_after() const {
    return keeper_->not_after();
  }

 private:
  explicit HttpsSecurity(std::unique_ptr<TlsKeeper> keeper) : keeper_(std::move(keeper)) {}
  // Makes new connections use what the keeper has.
  [[nodiscard]] absl::Status adopt();
  static int verify(x509_store_ctx_st* context, void* unused);

  const std::unique_ptr<TlsKeeper> keeper_;
  std::atomic<std::shared_ptr<ssl_ctx_st>> context_;  // shared with the reload under way
};

}  // namespace clusterd
