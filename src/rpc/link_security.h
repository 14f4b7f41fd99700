#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/config.h"
#include "core/reloader.h"
#include "rpc/access_control.h"
#include "rpc/authenticator.h"
#include "rpc/same_user.h"
#include "rpc/tls_keeper.h"

namespace clusterd {

// What [grpc_server] asks of a daemon's links: certificates that are reloaded, or plaintext.
//
// Owned by run_scheduler and run_worker; outlives their servers and channels. Any thread.
class LinkSecurity {
 public:
  // INVALID_ARGUMENT names key, file and fault; so it does where our certificate says that we are
  // something else than `role`. `component` is the daemon's name in the log.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LinkSecurity>> make(
      const std::string& component, Role role, const ListenerConfig& listener);
  LinkSecurity(const LinkSecurity&) = delete;
  LinkSecurity& operator=(const LinkSecurity&) = delete;

  // Tells callers by their certificates; in plaintext they are anonymous, or of this user.
  [[nodiscard]] const Authenticator& authenticator() const { return *authenticator_; }
  // Where the server listens that is asked for here; before anybody is told of it, and once.
  void serve_at(const std::vector<std::string>& addresses);
  // `access` judges health and reflection, and outlives the server. Without `demand_certificate`
  // a caller may show something else.
  [[nodiscard]] std::shared_ptr<grpc::ServerCredentials> server_credentials(
      bool demand_certificate, const AccessControl& access) const;
  [[nodiscard]] std::shared_ptr<grpc::ChannelCredentials> channel_credentials(
      ExpectedPeer expected) const;
  // Grows with each set of certificates of ours; always 0 in plaintext.
  [[nodiscard]] uint64_t generation() const;
  // The name in our certificate; empty where it says none.
  [[nodiscard]] std::string own_name() const;
  // The cluster that others must be of; empty: any.
  [[nodiscard]] std::string cluster() const;
  // The end of our certificate; none in plaintext.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> not_after() const;
  // For a Reloader; none in plaintext. `then` follows each reload that succeeded, and
  // comes once a minute, for certificates that have ended.
  [[nodiscard]] std::vector<Reloadable> reloadables(std::function<void()> then) const;

 private:
  LinkSecurity() = default;

  std::unique_ptr<TlsKeeper> tls_;  // null: plaintext
  std::unique_ptr<Authenticator> authenticator_;
  SameUserOnly* same_user_ = nullptr;  // authenticator_, where it is that
};

}  // namespace clusterd
