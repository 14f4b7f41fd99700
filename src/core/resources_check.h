#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Most units of one counted resource, of a worker and of a job.
inline constexpr int64_t kMostUnits = 10'000;
// Most tasks of a gang.
inline constexpr uint32_t kMostInGang = 1'000;

// Names of counted resources: 1 to 64 letters, digits, '.', '_' and '-'.
[[nodiscard]] absl::Status check_resource_name(std::string_view name);

// No two of them have the same variable, and there are not too many.
[[nodiscard]] absl::Status check_resource_names(const std::map<std::string, uint32_t>& units);

// "key" or "key=value", each 1 to 128 letters, digits, '.', '_' and '-'.
[[nodiscard]] absl::Status check_taint(std::string_view taint);

// An attempt's variable with the units that are its own: `CLUSTERD_GPU_IDS` of "gpu".
[[nodiscard]] std::string ids_variable(std::string_view resource);

// INVALID_ARGUMENT with that field unless it is 1 to 128 of letters, digits, '.', '_' and '-'.
[[nodiscard]] absl::Status check_queue_name(std::string_view field, std::string_view name);

// Checks what a spec says of counted resources, preferences, taints and gangs. Part of
// check_job_spec(). INVALID_ARGUMENT names the field, the value and what is allowed.
[[nodiscard]] absl::Status check_placement(const v1::JobSpec& spec);

}  // namespace clusterd
