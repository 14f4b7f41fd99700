#include "rpc/peer.h"

namespace clusterd {

std::string peer_host(std::string_view peer) {
  const size_t kind_end = peer.find(':');
  if (kind_end == std::string_view::npos) return "";
  const std::string_view kind = peer.substr(0, kind_end);
  std::string_view rest = peer.substr(kind_end + 1);
  const size_t port_colon = rest.rfind(':');
  if (port_colon == std::string_view::npos) return "";
  rest = rest.substr(0, port_colon);
  if (kind == "ipv4") return std::string(rest);
  if (kind != "ipv6") return "";
  for (const std::string_view open : {"%5B", "["}) {
    if (rest.starts_with(open)) rest.remove_prefix(open.size());
  }
  for (const std::string_view close : {"%5D", "]"}) {
    if (rest.ends_with(close)) rest.remove_suffix(close.size());
  }
  return std::string(rest);
}

absl::StatusOr<Address> peer_address(std::string_view peer) {
  const std::string host = peer_host(peer);
  if (host.empty()) return absl::InvalidArgumentError("a peer without an IP address");
  const std::string port(peer.substr(peer.rfind(':') + 1));
  const bool is_six = host.find(':') != std::string::npos;
  return parse_address((is_six ? "[" + host + "]" : host) + ":" + port);
}

}  // namespace clusterd
