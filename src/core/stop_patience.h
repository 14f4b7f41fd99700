#pragma once

#include <chrono>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// How long one waits for the end of a job that one has stopped: its grace, and a margin for the
// kill and the report. A job that names no grace has its worker's, which only the worker knows:
// the default of `jobs.stop_grace` stands for it.
[[nodiscard]] std::chrono::nanoseconds stop_patience(const v1::JobSpec& spec);

// DEADLINE_EXCEEDED: `job`, which one has stopped, has not ended within that time.
[[nodiscard]] absl::Status not_stopped_in_time(const v1::Job& job);

}  // namespace clusterd
