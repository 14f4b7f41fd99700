#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/worker_service.pb.h"

namespace clusterd {

// What bounds the jobs of a program's handlers.
struct HandlerBounds {
  std::vector<std::string> handlers;  // their names
  uint64_t max_output_bytes = 0;
  std::chrono::nanoseconds stop_grace{0};
};

// Turns a start order into the plan that HandlerLauncher takes: `executable` is the handler's name,
// `stdin` the whole order. Errors carry the field: INVALID_ARGUMENT (job_id, output.max_bytes, and
// those of check_job_spec), FAILED_PRECONDITION (handler).
[[nodiscard]] absl::StatusOr<internal::LaunchPlan> check_handler_start(
    const HandlerBounds& bounds, const v1::StartAttempt& attempt);

}  // namespace clusterd
