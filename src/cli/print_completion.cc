#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_join.h"
#include "cli/caller_session.h"
#include "cli/completion.h"
#include "cli/describe.h"
#include "cli/exit_codes.h"
#include "cli/print.h"
#include "cli/table.h"

namespace clusterd {
namespace {

using Live = Completion::Live;
using Paths = Completion::Paths;

// For the scheduler's answers; a second less what the start of a process may take.
constexpr int kPatienceMicroseconds = 700'000;
constexpr uint32_t kMostJobs = 200;
constexpr uint32_t kMostScripts = 1'000;

void add(const std::string& text, const std::string& description, Completion& completion) {
  if (!text.starts_with(completion.word) || printable(text) != text) return;
  completion.candidates.push_back({completion.before + text, description});
}

void add_jobs(const v1::ListJobsResponse& jobs, Completion& completion) {
  for (const v1::Job& job : jobs.jobs()) {
    const v1::JobSpec& spec = job.spec();
    const std::string& what = !spec.name().empty()   ? spec.name()
                              : !spec.path().empty() ? spec.path()
                                                     : spec.command();
    add(job.job_id(), v1::Job::State_Name(job.state()) + " " + what, completion);
  }
}

// The newest jobs, or of ARRAY. the first tasks.
void add_jobs(SchedulerClient& client, Completion& completion) {
  const size_t dot = completion.word.find('.');
  if (dot != std::string::npos) {
    v1::ListTasksRequest request;
    request.set_job_id(completion.word.substr(0, dot));
    request.set_page_size(kMostJobs);
    const auto tasks = client.list_tasks(request);
    if (tasks.ok()) add_jobs(*tasks, completion);
    return;
  }
  v1::ListJobsRequest request;
  request.set_page_size(kMostJobs);
  const auto jobs = client.list(request);
  if (jobs.ok()) add_jobs(*jobs, completion);
}

void add_workers(const v1::ListWorkersResponse& workers, Completion& completion) {
  const size_t before = completion.candidates.size();
  for (const v1::Worker& worker : workers.workers()) {
    add(worker.name(), v1::Worker::State_Name(worker.state()) + " " + worker.worker_id(),
        completion);
  }
  if (completion.candidates.size() > before) return;
  for (const v1::Worker& worker : workers.workers()) {  // ids only where no name begins so
    add(worker.worker_id(), worker.name(), completion);
  }
}

void add_scripts(SchedulerClient& client, const v1::ListWorkersResponse& workers,
                 Completion& completion) {
  v1::ListScriptsRequest request;
  request.set_worker_id(completion.worker);
  request.set_page_size(kMostScripts);
  for (const v1::Worker& worker : workers.workers()) {
    if (!request.worker_id().empty()) break;
    if (worker.state() == v1::Worker::ALIVE) request.set_worker_id(worker.worker_id());
  }
  const auto scripts = client.list_scripts(request);
  if (!scripts.ok()) return;
  for (const v1::Script& script : scripts->scripts()) add(script.path(), "", completion);
}

std::string text_of(const Completion& completion, size_t first) {
  std::string text;
  for (size_t i = first; i < completion.candidates.size(); ++i) {
    const auto& [candidate, description] = completion.candidates[i];
    text += candidate + "\t" + printable(description) + "\n";
  }
  return text;
}

void add_schedules(SchedulerClient& client, Completion& completion) {
  const auto schedules = client.list_schedules();
  if (!schedules.ok()) return;
  for (const v1::Schedule& schedule : schedules->schedules()) {
    add(schedule.name(), schedule.cron(), completion);
  }
}

// The process ends when the time is over, whatever its threads are waiting for.
void bound_time() {
  struct sigaction action {};
  action.sa_handler = [](int) { _exit(kExitOk); };
  itimerval timer{};
  timer.it_value.tv_usec = kPatienceMicroseconds;
  if (sigaction(SIGALRM, &action, nullptr) == 0) (void)setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

void add_live_candidates(Completion& completion) {
  if (completion.live == Live::kNone) return;
  const auto client = connect(completion.client);
  if (!client.ok()) return;
  if (completion.live == Live::kJobs) return add_jobs(**client, completion);
  if (completion.live == Live::kSchedules) return add_schedules(**client, completion);
  const auto workers = (*client)->list_workers();
  if (!workers.ok()) return;
  if (completion.live == Live::kWorkers) return add_workers(*workers, completion);
  add_scripts(**client, *workers, completion);
}

int print_completion(Completion completion) {
  bound_time();
  std::string text;
  if (completion.paths == Paths::kFiles) text += ":files\n";
  if (completion.paths == Paths::kFolders) text += ":folders\n";
  absl::Status status = write_stdout(text + text_of(completion, 0));
  const size_t known = completion.candidates.size();
  add_live_candidates(completion);
  if (status.ok()) status = write_stdout(text_of(completion, known));
  // Nobody reads what a shell's completion says, and connections that hang are not waited for.
  _exit(kExitOk);
}

}  // namespace clusterd
