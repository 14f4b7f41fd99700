#include "scheduler/call_back_address.h"

#include "core/address.h"
#include "core/field_error.h"
#include "rpc/peer.h"

namespace clusterd {

absl::StatusOr<std::string> call_back_address(const std::string& advertised,
                                              const std::string& peer, uint16_t default_port) {
  auto address = parse_address(advertised);
  if (!address.ok() && default_port != 0) {
    const auto completed = parse_address(advertised + ":" + std::to_string(default_port));
    if (completed.ok()) address = completed;
  }
  if (!address.ok()) return invalid_field("address", std::string(address.status().message()));
  if (address->port == 0) return invalid_field("address", "\"" + advertised + "\": port 0");
  // "Every interface" is where it listens and no place to call.
  const bool is_wildcard = address->host == "0.0.0.0" || address->host == "::";
  if (address->host.empty() || is_wildcard) address->host = peer_host(peer);
  if (address->host.empty()) {
    return invalid_field("address",
                         "\"" + advertised + "\" has no host, and the call came from " + peer);
  }
  return format_address(*address);
}

}  // namespace clusterd
