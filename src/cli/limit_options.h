#pragma once

#include "absl/status/status.h"
#include "cli/commands.h"
#include "clusterd/v1/job.pb.h"

namespace CLI {
class App;
}

namespace clusterd {

// The options of `job start` that are about limits.
void add_limit_options(CLI::App& app, LimitFlags& flags);

// Fills what they say. INVALID_ARGUMENT names the option.
[[nodiscard]] absl::Status add_limits(const LimitFlags& flags, v1::JobSpec& spec);

}  // namespace clusterd
