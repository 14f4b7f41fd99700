#pragma once

#include <memory>
#include <string>

#include "rpc/https_security.h"

namespace clusterd::gateway {

// What a connection tells of the other end, before it has said a word of HTTP.
struct HttpPeer {
  std::string address;                // IP address
  bool is_same_user = false;          // where users are told apart: a process of this user
  std::unique_ptr<HttpsPeer> secure;  // null: plaintext
};

}  // namespace clusterd::gateway
