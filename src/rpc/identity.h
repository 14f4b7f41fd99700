#pragma once

#include <array>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace clusterd {

// What a caller is, which decides what it may call (see authorization.h).
enum class Role {
  kScheduler,
  kWorker,
  kReader,    // a client that looks
  kOperator,  // a client that also runs and stops jobs
  kAdmin,     // a client that may do all that clients may
};
inline constexpr std::array kAllRoles = {Role::kScheduler, Role::kWorker, Role::kReader,
                                         Role::kOperator, Role::kAdmin};

// "scheduler", "worker", "reader", "operator" or "admin".
[[nodiscard]] std::string_view role_word(Role role);
// INVALID_ARGUMENT: none of the five words.
[[nodiscard]] absl::StatusOr<Role> parse_role(std::string_view word);

// Who is at the other end, as its certificate or its token says.
struct Identity {
  Role role = Role::kReader;
  std::string name;     // empty: nobody in particular, see anonymous_admin()
  std::string cluster;  // of the certificate; empty: not known
  // What proved it, so that it can be told when that is revoked: "certificate:<SHA-256 of it>" or
  // "token:<id>"; empty where nothing was asked for.
  std::string credential;

  [[nodiscard]] bool is_anonymous() const { return name.empty(); }
  // "scheduler/s1", "worker/db1", "client/operator/alice", or "anonymous": for logs, records and
  // the audit.
  [[nodiscard]] std::string text() const;

  friend bool operator==(const Identity&, const Identity&) = default;
};

// Everybody, where neither TLS nor tokens are configured.
[[nodiscard]] Identity anonymous_admin();

// The inverse of text(), without "anonymous": "worker/db1". INVALID_ARGUMENT says what is wrong. A
// name has 1 to 128 letters, digits, '.', '_' and '-'.
[[nodiscard]] absl::StatusOr<Identity> parse_identity(std::string_view text);

// From a certificate's URI: "spiffe://<cluster>/worker/db1". INVALID_ARGUMENT says what is wrong.
// A cluster's name has 1 to 255 lower-case letters, digits, '.', '_' and '-'.
[[nodiscard]] absl::StatusOr<Identity> parse_spiffe_id(std::string_view uri);

// Whether it can stand before the first slash of such a URI.
[[nodiscard]] bool is_cluster_name(std::string_view text);

// The inverse of parse_spiffe_id(). Cluster and name must not be empty.
[[nodiscard]] std::string spiffe_id(const Identity& identity);

}  // namespace clusterd
