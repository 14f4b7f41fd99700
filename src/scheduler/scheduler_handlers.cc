// Handlers that workers offer, and how far their jobs are.

#include <utility>

#include "core/utf8.h"
#include "scheduler/scheduler.h"
#include "scheduler/worker_handlers.h"

namespace clusterd {
namespace {

constexpr size_t kMaxProgressMessageBytes = 256;

}  // namespace

void Scheduler::take_handlers(WorkerEntry& worker, const v1::RegisterWorkerRequest& request) {
  v1::Worker& shown_worker = *worker.record.mutable_worker();
  *shown_worker.mutable_handlers() = request.handlers();
  for (v1::Handler& handler : *shown_worker.mutable_handlers()) handler.clear_running();
  if (shown_worker.handlers().empty()) return;
  for (const std::string& job_id : worker.jobs) {
    if (const LiveJob* live = jobs_.find(job_id)) count_handler(shown_worker, live->job.spec(), 1);
  }
}

// In memory only: the next one follows soon, and what counts in the end is the end.
void Scheduler::attempt_progressed(LiveJob& live, const v1::Progress& progress) {
  if (live.job.state() != v1::Job::RUNNING) return;
  *live.job.mutable_progress() = progress;
  std::string& message = *live.job.mutable_progress()->mutable_message();
  if (message.size() > kMaxProgressMessageBytes) {
    message.resize(kMaxProgressMessageBytes);
    while (!message.empty() && !is_valid_utf8(message)) message.pop_back();
  }
}

void Scheduler::show_progress(v1::ListJobsResponse& page) {
  for (v1::Job& job : *page.mutable_jobs()) {
    const LiveJob* live = jobs_.find(job.job_id());
    const bool same = live != nullptr && live->job.attempt() == job.attempt();
    if (same && live->job.has_progress()) *job.mutable_progress() = live->job.progress();
  }
}

}  // namespace clusterd
