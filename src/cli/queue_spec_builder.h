#pragma once

#include "absl/status/status.h"
#include "cli/commands.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Fills what the options say of the queue. INVALID_ARGUMENT names the option.
[[nodiscard]] absl::Status add_queueing(const QueueFlags& flags, v1::JobSpec& spec);

}  // namespace clusterd
