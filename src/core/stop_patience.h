#pragma once

#include <chrono>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// How long one waits for the end of a job that one has stopped: the grace that the wish to stop it
// names, and a margin for the kill and the report. Where it names none (the worker is of an older
// version) the job's own stands for it, else the default of `jobs.stop_grace`.
[[nodiscard]] std::chrono::nanoseconds stop_patience(const v1::Job& job);

// DEADLINE_EXCEEDED: `job`, which one has stopped, has not ended within that time.
[[nodiscard]] absl::Status not_stopped_in_time(const v1::Job& job);

}  // namespace clusterd
