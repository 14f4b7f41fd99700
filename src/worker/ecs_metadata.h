#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace clusterd {

// The IP address of the Amazon ECS task that this container is part of, from the task metadata
// endpoint, version 4 ($ECS_CONTAINER_METADATA_URI_V4). NOT_FOUND: there is no such endpoint, or
// the container shares the address of its machine (network mode `host`), which the scheduler sees
// by itself. FAILED_PRECONDITION: its address is of no use to others (mode `bridge`). UNAVAILABLE
// and others: the endpoint does not answer as it should. Blocks for some seconds at most; any
// thread.
[[nodiscard]] absl::StatusOr<std::string> ecs_task_address();

// The same from the endpoint's answer.
[[nodiscard]] absl::StatusOr<std::string> address_in_ecs_metadata(std::string_view json);

}  // namespace clusterd
