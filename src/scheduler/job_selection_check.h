#pragma once

#include <string>

#include "absl/status/status.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// What a call about many jobs does with them.
enum class GroupAction { kStop, kRetry };

// A selection as it comes from outside. INVALID_ARGUMENT: nothing but states to match by, a label
// without a name, a state in which the call can do nothing.
[[nodiscard]] absl::Status check_selection(const v1::JobSelection& selection, GroupAction action);

// The jobs that it is about, as a request for pages. The selection has passed check_selection().
[[nodiscard]] v1::ListJobsRequest to_list_request(const v1::JobSelection& selection,
                                                  GroupAction action);

// "name=nightly label=team=data state=FAILED", for the audit.
[[nodiscard]] std::string text_of(const v1::JobSelection& selection);

}  // namespace clusterd
