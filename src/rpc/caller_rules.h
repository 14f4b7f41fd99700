#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/ip_network.h"
#include "rpc/identity.h"
#include "rpc/token_store.h"

namespace clusterd {

// What a caller shows of itself, over HTTP or gRPC.
struct ShownCredentials {
  std::string peer;                     // IP address of the other end
  std::optional<Identity> certificate;  // verified
  std::string_view authorization;       // the header of this name
  std::string_view forwarded_client;    // the header `Clusterd-Client`
  // Whether the caller is a process of this user; asked only where it matters. May be null.
  std::function<bool()> is_same_user;
};

// The header by which a proxy says for whom it calls: "client/operator/alice".
inline constexpr std::string_view kForwardedClientHeader = "clusterd-client";

// Decides who calls, for both transports: a bearer token comes before what a trusted proxy says,
// that before the certificate of the connection, that before nobody in particular.
//
// Any thread. Owned by run_scheduler, which gives it what its configuration names; outlives the
// servers.
class CallerRules {
 public:
  struct Settings {
    const TokenStore* tokens = nullptr;  // null: there are none; outlives this
    bool asks_certificates = false;      // so nobody is anonymous
    bool same_user_only = false;         // nor is another user's process
    std::vector<IpNetwork> trusted_proxies;
  };

  explicit CallerRules(Settings settings) : settings_(std::move(settings)) {}

  // UNAUTHENTICATED says what was missing or wrong, never what would have been right.
  [[nodiscard]] absl::StatusOr<Identity> identify(const ShownCredentials& shown,
                                                  WallTime now) const;

  // Whether what proved an identity of identify() still does.
  [[nodiscard]] bool still_holds(const Identity& identity, WallTime now) const;

  // The address of the client: the peer's or, where that is a trusted proxy, the last in
  // `forwarded_for` (the header X-Forwarded-For) that is none.
  [[nodiscard]] std::string client_address(const std::string& peer,
                                           std::string_view forwarded_for) const;
  // Whether ShownCredentials::is_same_user is ever asked.
  [[nodiscard]] bool tells_users_apart() const { return settings_.same_user_only; }
  [[nodiscard]] bool is_proxy(const std::string& address) const {
    return contains(settings_.trusted_proxies, address);
  }

 private:
  [[nodiscard]] absl::StatusOr<Identity> identify_bearer(std::string_view authorization,
                                                         WallTime now) const;
  [[nodiscard]] absl::StatusOr<Identity> identify_nobody(const ShownCredentials& shown) const;

  const Settings settings_;
};

}  // namespace clusterd
