#pragma once

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Checks what a spec says of the queue: requirements, retries, arrays, broadcasts, times and
// dependencies. Part of check_job_spec(). INVALID_ARGUMENT names the field, the value and what is
// allowed.
[[nodiscard]] absl::Status check_queueing(const v1::JobSpec& spec);

}  // namespace clusterd
