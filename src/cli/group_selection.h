#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/commands.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// The jobs that a command means by what they are; nullopt: it names them. INVALID_ARGUMENT:
// neither, both, or an option that goes with the first alone.
[[nodiscard]] absl::StatusOr<std::optional<v1::JobSelection>> group_selection(
    const std::vector<std::string>& job_ids, const GroupFlags& flags);

// "12 jobs are asked to stop" and their ids, or the ids alone. `what_happens`: "are asked to stop".
[[nodiscard]] std::string describe_group(const v1::MatchingJobsResponse& answer,
                                         const GroupFlags& flags, const std::string& what_happens);

}  // namespace clusterd
