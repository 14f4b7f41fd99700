#pragma once

#include "absl/status/statusor.h"
#include "cli/commands.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// The jobs that a `job list` asks for. INVALID_ARGUMENT names the option.
[[nodiscard]] absl::StatusOr<v1::ListJobsRequest> list_request(const JobListCommand& command);

// A value of --state, in any case. INVALID_ARGUMENT names the states there are.
[[nodiscard]] absl::StatusOr<v1::Job::State> parse_state(std::string word);

}  // namespace clusterd
