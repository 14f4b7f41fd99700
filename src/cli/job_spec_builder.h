#pragma once

#include "absl/status/statusor.h"
#include "cli/commands.h"
#include "client/client_settings.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// The job that a `job start` describes; reads --env-file and --stdin. INVALID_ARGUMENT and
// NOT_FOUND name the option. What only a scheduler or worker can know is checked there.
[[nodiscard]] absl::StatusOr<v1::JobSpec> build_job_spec(const JobStartCommand& command,
                                                         const Environment& environment);

// A value of an option that is a duration. INVALID_ARGUMENT names the option.
[[nodiscard]] absl::StatusOr<std::chrono::nanoseconds> parse_duration_option(
    std::string_view option, std::string_view text);

}  // namespace clusterd
