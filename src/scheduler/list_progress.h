#pragma once

#include "absl/functional/any_invocable.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

class SchedulerApp;

// Fills in how far the jobs of the page are, which is in memory alone, and calls `then`; on the
// core thread, or at once where no job of the page can have said so. `page` lives until then.
void add_progress(SchedulerApp& app, v1::ListJobsResponse* page, absl::AnyInvocable<void()> then);

}  // namespace clusterd
