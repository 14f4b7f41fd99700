#pragma once

#include "absl/status/status.h"
#include "clusterd/v1/schedule.pb.h"
#include "core/clock.h"
#include "core/config.h"

namespace clusterd {

// Bounds of a Schedule.
inline constexpr size_t kMaxScheduleNameBytes = 128;
inline constexpr uint32_t kMostCaughtUp = 1'000;

// Everything about a schedule that can be judged without the cluster, its spec as check_job_spec()
// and check_job_sizes() have it. INVALID_ARGUMENT about the first field at fault, naming the value
// and what is allowed; fields of the spec are told as `spec.<field>`. Reads a file at the first use
// of a time zone.
[[nodiscard]] absl::Status check_schedule(const v1::Schedule& schedule,
                                          const SchedulerConfig::Scheduling& bounds, WallTime now);

// 1 to 128 of letters, digits, ".", "_" and "-".
[[nodiscard]] absl::Status check_schedule_name(const std::string& name);

// An error about a field of a spec as one about a field of what holds the spec.
[[nodiscard]] absl::Status about_spec(const absl::Status& status);

}  // namespace clusterd
