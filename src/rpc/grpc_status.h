#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace clusterd {

// Between absl::Status with its payloads and grpc::Status with google.rpc.Status details. Exact
// both ways. Messages are made valid UTF-8.
[[nodiscard]] grpc::Status to_grpc(const absl::Status& status);
[[nodiscard]] absl::Status from_grpc(const grpc::Status& status);

}  // namespace clusterd
