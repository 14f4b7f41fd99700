#include "scheduler/list_progress.h"

#include <algorithm>
#include <utility>

#include "scheduler/scheduler_app.h"

namespace clusterd {

void add_progress(SchedulerApp& app, v1::ListJobsResponse* page, absl::AnyInvocable<void()> then) {
  const bool any = std::any_of(page->jobs().begin(), page->jobs().end(), [](const v1::Job& job) {
    return job.state() == v1::Job::RUNNING && !job.spec().handler().empty();
  });
  if (!any) return then();
  app.with_term([page, then = std::move(then)](Term* term) mutable {
    if (term != nullptr) term->scheduler().show_progress(*page);
    then();
  });
}

}  // namespace clusterd
