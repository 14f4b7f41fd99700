#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace clusterd {

// Writes `lines` ("grpc=127.0.0.1:50000") to `path`, each ended by a newline. Atomic: a reader
// sees no file, or all of it. An empty path: nothing to do. The status names path and cause.
[[nodiscard]] absl::Status write_port_file(const std::string& path,
                                           const std::vector<std::string>& lines);

}  // namespace clusterd
