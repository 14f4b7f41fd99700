#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace clusterd {

// A go-work scheduler gives its tasks any ids it likes; here they name folders. Both functions are
// pure; any thread.

// The job id of a task: letters, digits, '.' and '-' stay (a '.' at the beginning does not), every
// other byte becomes "_XX". INVALID_ARGUMENT: more than 128 bytes then, or an empty id.
[[nodiscard]] absl::StatusOr<std::string> job_id_of_task(std::string_view task_id);

// The inverse. INVALID_ARGUMENT: no task has this job id.
[[nodiscard]] absl::StatusOr<std::string> task_of_job_id(std::string_view job_id);

}  // namespace clusterd
