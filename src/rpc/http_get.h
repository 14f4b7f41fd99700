#pragma once

#include <chrono>
#include <string>

#include "absl/status/statusor.h"

namespace clusterd {

struct HttpAnswer {
  int status = 0;
  std::string date;  // the header, as it was sent; empty: there was none
  std::string body;
};

// GET of "http://host[:port]/path" or "https://…", for what is near: the machine's own daemon, a
// metadata endpoint. Nothing secret may be sent or believed: with https no certificate is checked.
// No redirects. INVALID_ARGUMENT: no such URL. UNAVAILABLE: no connection, or it broke.
// DEADLINE_EXCEEDED: not whole within `limit`. DATA_LOSS: no HTTP, or more than 1 MiB. Blocks; any
// thread.
[[nodiscard]] absl::StatusOr<HttpAnswer> http_get(const std::string& url,
                                                  std::chrono::milliseconds limit);

}  // namespace clusterd
