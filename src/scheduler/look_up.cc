#include "scheduler/look_up.h"

#include <utility>

#include "clusterd/job_tasks.h"

namespace clusterd {

absl::StatusOr<LookedUp> look_up(Store& store, const LookUp& question) {
  LookedUp found;
  for (const std::string& job_id : question.job_ids) {
    auto job = store.find_job(job_id);
    // That there is none, or that it is damaged, is an answer; anything else says nothing of it.
    const bool is_known =
        job.ok() || absl::IsNotFound(job.status()) || absl::IsDataLoss(job.status());
    if (!is_known) return absl::UnavailableError(job.status().message());
    found.jobs.push_back(std::move(job));
  }
  if (!question.request_key.empty()) {
    auto record = store.find_idempotency(question.request_key);
    if (!record.ok()) return record.status();
    found.first_answer = *std::move(record);
  }
  if (!question.external_id.empty()) {
    v1::ListJobsRequest request;
    request.set_external_id(question.external_id);
    auto page = store.list_jobs(request);
    if (!page.ok()) return page.status();
    if (page->jobs_size() > 0) found.external_job = page->jobs(0).job_id();
  }
  const bool whole =
      question.with_tasks && !found.jobs.empty() && found.jobs[0].ok() && has_tasks(*found.jobs[0]);
  if (whole) {
    auto tasks = store.recorded_tasks(question.job_ids[0]);
    if (!tasks.ok()) return tasks.status();
    found.tasks = *std::move(tasks);
  }
  return found;
}

absl::StatusOr<MatchedJobs> find_matching(Store& store, const FindMatching& question) {
  auto page = store.list_jobs(question.request);
  if (!page.ok()) return page.status();
  MatchedJobs found{.job_ids = {}, .next_page_token = page->next_page_token()};
  for (const v1::Job& job : page->jobs()) found.job_ids.push_back(job.job_id());
  return found;
}

}  // namespace clusterd
