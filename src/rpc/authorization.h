#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "rpc/identity.h"

namespace clusterd {

// Roles as bits, so that the table is a constant.
class RoleSet {
 public:
  template <typename... Roles>
  constexpr explicit RoleSet(Roles... roles) : bits_((0U | ... | bit(roles))) {}

  [[nodiscard]] constexpr bool has(Role role) const { return (bits_ & bit(role)) != 0; }

 private:
  static constexpr unsigned bit(Role role) { return 1U << static_cast<unsigned>(role); }

  unsigned bits_;
};

// Who may call one RPC.
struct MethodRule {
  std::string_view method;  // as gRPC writes it: "/clusterd.v1.SchedulerService/StartJob"
  RoleSet roles;
};

// The one table of who may call what: ours, the two original contracts, health and reflection.
// docs/security.md shows the same table; a test compares the two and walks all RPCs.
[[nodiscard]] std::span<const MethodRule> method_rules();

// OK, or PERMISSION_DENIED, which names caller, method and the roles that it takes; a method that
// is not in the table is nobody's. An anonymous caller, where nothing is asked for, may call all of
// it.
[[nodiscard]] absl::Status authorize(std::string_view method, const Identity& identity);

}  // namespace clusterd
