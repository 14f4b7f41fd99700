#pragma once

#include "absl/status/status.h"
#include "cli/commands.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Fills what the options say of the output. INVALID_ARGUMENT names the option.
[[nodiscard]] absl::Status add_output(const OutputFlags& flags, v1::JobSpec& spec);

}  // namespace clusterd
