#pragma once

#include <optional>
#include <string>

#include "rpc/identity.h"

namespace clusterd::gateway {

// What a connection tells of the other end, before it has said a word of HTTP.
struct HttpPeer {
  std::string address;                  // IP address
  bool is_same_user = false;            // where users are told apart: a process of this user
  std::optional<Identity> certificate;  // verified
};

}  // namespace clusterd::gateway
