#include "bench/bench_cleanup.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/load.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"

namespace clusterd::bench {
namespace {

using std::chrono::steady_clock;

constexpr uint32_t kPage = 1'000;
constexpr uint32_t kConnections = 8;
constexpr std::chrono::seconds kEndsWithin(60);  // a stop signal, grace and KILL

absl::Status stop_all(const BenchRun& run, SchedulerClient& client, const std::string& label,
                      const std::stop_token& stop) {
  run.tell("stopping its jobs");
  v1::StopMatchingJobsRequest request;
  request.mutable_selection()->add_label(label);
  return client.stop_matching(request, stop).status();
}

// Returns when the jobs of the page have ended; DEADLINE_EXCEEDED after a while.
absl::Status wait_for_ends(SchedulerClient& client, const v1::ListJobsResponse& page,
                           const std::stop_token& stop) {
  v1::WaitJobsRequest request;
  for (const v1::Job& job : page.jobs()) {
    if (!is_final(job.state())) request.add_job_id(job.job_id());
  }
  if (request.job_id().empty()) return absl::OkStatus();
  *request.mutable_timeout() = to_proto(kEndsWithin);
  const auto answer = client.wait_jobs(request, stop);
  if (!answer.ok()) return answer.status();
  for (const v1::Job& job : answer->jobs()) {
    if (is_final(job.state())) continue;
    return absl::DeadlineExceededError("job " + job.job_id() + " does not end");
  }
  return absl::OkStatus();
}

absl::Status delete_page(const BenchRun& run, const v1::ListJobsResponse& page,
                         const std::stop_token& stop) {
  const auto make = [&]() -> absl::StatusOr<Requester> {
    auto made = run.scheduler();
    if (!made.ok()) return made.status();
    const std::shared_ptr<SchedulerClient> client = *std::move(made);  // the function's copies
    return [client, &page, &stop](uint64_t index) {
      v1::DeleteJobRequest request;
      request.set_job_id(page.jobs(static_cast<int>(index)).job_id());
      const absl::Status status = client->erase(request, stop);
      return absl::IsNotFound(status) ? absl::OkStatus() : status;
    };
  };
  return run_load(kConnections, static_cast<uint64_t>(page.jobs_size()), make, stop).status();
}

absl::Status remove_pages(const BenchRun& run, const std::string& label,
                          const std::stop_token& stop) {
  const auto client = run.scheduler();
  if (!client.ok()) return client.status();
  if (absl::Status status = stop_all(run, **client, label, stop); !status.ok()) return status;
  const auto deadline = steady_clock::now() + kJobsTimeout;
  v1::ListJobsRequest request;
  request.add_label(label);
  request.set_page_size(kPage);
  uint64_t deleted = 0;
  while (true) {
    // What was on the last page is gone, so the next one is the first again.
    const auto page = (*client)->list(request, stop);
    if (!page.ok()) return page.status();
    if (page->jobs().empty()) return absl::OkStatus();
    if (steady_clock::now() >= deadline) return absl::DeadlineExceededError("it takes too long");
    absl::Status status = wait_for_ends(**client, *page, stop);
    if (status.ok()) status = delete_page(run, *page, stop);
    if (!status.ok()) return status;
    deleted += static_cast<uint64_t>(page->jobs_size());
    run.tell(absl::StrCat("deleting its jobs, ", deleted));
  }
}

}  // namespace

absl::Status remove_jobs(const BenchRun& run, const StopFd& stop) {
  const std::string label = absl::StrCat(kRunLabel, "=", run.label());
  const absl::Status status = remove_pages(run, label, stop.token());
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("some jobs are left; `clusterd job list --label ",
                                                  label, "` shows them: ", status.message()));
}

}  // namespace clusterd::bench
