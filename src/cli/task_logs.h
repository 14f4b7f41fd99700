#pragma once

#include <string>

#include "absl/status/status.h"
#include "cli/caller_session.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// Prints the output of all tasks of `job` to standard output, each line behind its task's index;
// with `follow` until each has ended. Without it task by task; with it that of up to kMostFollowed
// tasks at a time, by index, so that nothing is left out and what runs is seen live. `request` has
// stream and `follow`. CANCELLED: interrupted; else the first error.
[[nodiscard]] absl::Status print_task_logs(CallerSession& session, const ClientFlags& flags,
                                           const v1::Job& job, const v1::StreamJobRequest& request);

inline constexpr size_t kMostFollowed = 16;

}  // namespace clusterd
