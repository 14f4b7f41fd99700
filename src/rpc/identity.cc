#include "rpc/identity.h"

#include <algorithm>

namespace clusterd {
namespace {

constexpr size_t kMostNameBytes = 128;
constexpr size_t kMostClusterBytes = 255;
constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kClient = "client/";

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_cluster_character(char c) {
  return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-';
}
bool is_name_character(char c) { return is_cluster_character(c) || (c >= 'A' && c <= 'Z'); }

// "." and ".." would be other paths in a URI.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMostNameBytes && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), is_name_character);
}

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

absl::Status bad_identity(std::string_view text) {
  return absl::InvalidArgumentError(
      quoted(text) +
      " is no identity: scheduler/<name>, worker/<name>, client/reader/<name>, "
      "client/operator/<name> or client/admin/<name> is expected");
}

}  // namespace

std::string_view role_word(Role role) {
  switch (role) {
    case Role::kScheduler:
      return "scheduler";
    case Role::kWorker:
      return "worker";
    case Role::kReader:
      return "reader";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      break;
  }
  return "admin";
}

absl::StatusOr<Role> parse_role(std::string_view word) {
  for (const Role role : kAllRoles) {
    if (role_word(role) == word) return role;
  }
  return absl::InvalidArgumentError(
      quoted(word) + " is no role: scheduler, worker, reader, operator and admin are allowed");
}

std::string Identity::text() const {
  if (is_anonymous()) return "anonymous";
  const bool daemon = role == Role::kScheduler || role == Role::kWorker;
  return (daemon ? "" : "client/") + std::string(role_word(role)) + "/" + name;
}

Identity anonymous_admin() { return {.role = Role::kAdmin}; }

absl::StatusOr<Identity> parse_identity(std::string_view text) {
  const bool client = text.starts_with(kClient);
  const std::string_view rest = client ? text.substr(kClient.size()) : text;
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !is_name(rest.substr(slash + 1)))
    return bad_identity(text);
  const auto role = parse_role(rest.substr(0, slash));
  if (!role.ok()) return bad_identity(text);
  const bool daemon = *role == Role::kScheduler || *role == Role::kWorker;
  if (daemon == client) return bad_identity(text);
  return Identity{.role = *role, .name = std::string(rest.substr(slash + 1))};
}

bool is_cluster_name(std::string_view text) {
  return !text.empty() && text.size() <= kMostClusterBytes &&
         std::all_of(text.begin(), text.end(), is_cluster_character);
}

absl::StatusOr<Identity> parse_spiffe_id(std::string_view uri) {
  if (!uri.starts_with(kScheme)) {
    return absl::InvalidArgumentError(quoted(uri) + " does not begin with spiffe://");
  }
  const std::string_view rest = uri.substr(kScheme.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !is_cluster_name(rest.substr(0, slash))) {
    return absl::InvalidArgumentError(quoted(uri) + " names no cluster");
  }
  auto identity = parse_identity(rest.substr(slash + 1));
  if (!identity.ok()) return identity;
  identity->cluster = rest.substr(0, slash);
  return identity;
}

std::string spiffe_id(const Identity& identity) {
  return std::string(kScheme) + identity.cluster + "/" + identity.text();
}

}  // namespace clusterd
