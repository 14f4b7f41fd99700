#pragma once

#include <string>

#include "cli/describe.h"
#include "clusterd/v1/schedule.pb.h"

namespace clusterd {

// For people; each ends in a newline. Times are those of the schedule's time zone, where it is
// known here.
[[nodiscard]] std::string describe_schedule(const v1::Schedule& schedule, const View& view);
[[nodiscard]] std::string describe_schedules(const v1::ListSchedulesResponse& schedules,
                                             const View& view);

// "nightly: next at 2026-11-27T02:30:00+01:00"; what `create` says.
[[nodiscard]] std::string next_time_of(const v1::Schedule& schedule);

}  // namespace clusterd
