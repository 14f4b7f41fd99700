#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <optional>

#include "core/clock.h"

namespace clusterd {

// Says in the trailing metadata of an answer what time it is here, for those who look for clocks
// that differ. Refused calls say it too, so that a worker may ask. Before the call is finished.
void tell_time(grpc::CallbackServerContext& context);

// The time that an answer told; nullopt: it did not.
[[nodiscard]] std::optional<WallTime> told_time(const grpc::ClientContext& context);

}  // namespace clusterd
