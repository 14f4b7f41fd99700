#include "cli/run_job.h"

#include <algorithm>
#include <functional>
#include <map>

#include "absl/status/statusor.h"
#include "cli/caller_session.h"
#include "cli/describe.h"
#include "cli/exit_codes.h"
#include "cli/group_selection.h"
#include "cli/job_end.h"
#include "cli/job_selection.h"
#include "cli/job_spec_builder.h"
#include "cli/list_request.h"
#include "cli/print.h"
#include "cli/task_logs.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/stop_patience.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;

v1::OutputStream::Stream stream_of(const std::string& word) {
  if (word == "stdout") return v1::OutputStream::STDOUT;
  if (word == "stderr") return v1::OutputStream::STDERR;
  if (word == "merged") return v1::OutputStream::MERGED;
  return v1::OutputStream::STREAM_UNSPECIFIED;
}

// Writes one attempt's output, as far as it comes, to standard output.
absl::Status print_output(CallerSession& session, OutputAssembler& output) {
  const absl::Status status =
      session.client->read_output(output, write_stdout, tell, session.token());
  tell_skipped(output);
  return status;
}

// Moves the request to the present end of the output, which is read to its last line to learn it.
absl::Status skip_to_end(CallerSession& session, v1::StreamJobRequest& request) {
  v1::StreamJobRequest last_line = request;
  last_line.set_follow(false);
  last_line.set_tail_lines(1);
  OutputAssembler output(std::move(last_line));
  const auto drop = [](std::string_view) { return absl::OkStatus(); };
  const absl::Status status = session.client->read_output(output, drop, tell, session.token());
  request.set_attempt(output.attempt());
  request.set_offset(output.end().total_bytes());
  return status;
}

// Pages of `next(request)` until `limit`.
template <typename Request, typename Next>
absl::StatusOr<v1::ListJobsResponse> list_up_to(uint32_t limit, Request request, Next next) {
  constexpr int kPage = 1000;
  v1::ListJobsResponse all;
  while (true) {
    const int left = static_cast<int>(limit) - all.jobs_size();
    request.set_page_size(static_cast<uint32_t>(std::min(left, kPage)));
    auto page = next(request);
    if (!page.ok()) return page.status();
    for (v1::Job& job : *page->mutable_jobs()) *all.add_jobs() = std::move(job);
    all.set_next_page_token(page->next_page_token());
    const bool is_full = all.jobs_size() >= static_cast<int>(limit);
    if (is_full || page->next_page_token().empty()) return all;
    request.set_page_token(page->next_page_token());
  }
}

int print_ids(const v1::ListJobsResponse& jobs) {
  std::string text;
  for (const v1::Job& job : jobs.jobs()) text += job.job_id() + "\n";
  return print_text(text);
}

// Does it for each, and exits as the first that failed.
int for_each_job(const std::vector<std::string>& job_ids,
                 const std::function<int(const std::string&)>& act) {
  int result = kExitOk;
  for (const std::string& job_id : job_ids) {
    const int code = act(job_id);
    if (result == kExitOk) result = code;
  }
  return result;
}

// Names of the workers of these jobs. None where they cannot be had: the ids do as well.
WorkerNames worker_names(CallerSession& session, const std::vector<v1::Job>& jobs) {
  WorkerNames names;
  const bool is_needed = std::any_of(jobs.begin(), jobs.end(),
                                     [](const v1::Job& job) { return !job.worker_id().empty(); });
  if (!is_needed) return names;
  const auto workers = session.client->list_workers(session.token());
  if (!workers.ok()) return names;
  for (const v1::Worker& worker : workers->workers()) names[worker.worker_id()] = worker.name();
  return names;
}

// Where a job waits and no worker fits it.
void tell_why_nobody_fits(CallerSession& session, const v1::ExplainJobResponse& answer) {
  const auto& workers = answer.workers();
  const bool fits =
      std::any_of(workers.begin(), workers.end(), [](const auto& worker) { return worker.fits(); });
  if (fits || answer.state() != v1::Job::QUEUED) return;
  const auto job = session.client->query(answer.job_id(), session.token());
  if (job.ok()) tell_placement_hints(session, job->spec());
}

absl::StatusOr<std::vector<std::string>> open_and_select(CallerSession& session,
                                                         const ClientFlags& flags,
                                                         const std::vector<std::string>& words,
                                                         AllJobs all_jobs) {
  const absl::Status status = session.open(flags);
  return status.ok() ? select_jobs(session, words, all_jobs) : status;
}

// Prints what came of a call about many jobs.
int print_group(const absl::StatusOr<v1::MatchingJobsResponse>& answer, const GroupFlags& flags,
                bool json, const std::string& what_happens) {
  if (!answer.ok()) return finish(answer.status());
  return json ? print_json(*answer) : print_text(describe_group(*answer, flags, what_happens));
}

int stop_group(const JobStopCommand& command, v1::JobSelection selection) {
  CallerSession session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return finish(status);
  }
  v1::StopMatchingJobsRequest request;
  *request.mutable_selection() = std::move(selection);
  request.set_dry_run(command.group.dry_run);
  request.set_reason(command.reason);
  return print_group(session.client->stop_matching(request, session.token()), command.group,
                     command.json,
                     command.group.dry_run ? "would be asked to stop" : "asked to stop");
}

int retry_group(const JobRetryCommand& command, v1::JobSelection selection) {
  CallerSession session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return finish(status);
  }
  v1::RetryMatchingJobsRequest request;
  *request.mutable_selection() = std::move(selection);
  request.set_dry_run(command.group.dry_run);
  return print_group(session.client->retry_matching(request, session.token()), command.group,
                     command.json, command.group.dry_run ? "would be retried" : "retried");
}

absl::StatusOr<std::string> open_and_select(CallerSession& session, const ClientFlags& flags,
                                            const std::string& word) {
  const absl::Status status = session.open(flags);
  return status.ok() ? select_job(session, word) : status;
}

}  // namespace

int run(const JobStopCommand& command) {
  const auto group = group_selection(command.job_ids, command.group);
  if (!group.ok()) return report_error(group.status());
  if (*group) return stop_group(command, **group);
  CallerSession session;
  const auto job_ids = open_and_select(session, command.client, command.job_ids, AllJobs::kActive);
  if (!job_ids.ok()) return finish(job_ids.status());
  // All are asked first, so that they end side by side.
  std::map<std::string, v1::Job> asked;
  const int refused = for_each_job(*job_ids, [&](const std::string& job_id) {
    v1::StopJobRequest request;
    request.set_job_id(job_id);
    request.set_reason(command.reason);
    auto job = session.client->stop_job(request, session.token());
    if (job.ok()) asked[job_id] = *job;
    return finish(job.status());
  });
  const int failed = for_each_job(*job_ids, [&](const std::string& job_id) {
    const auto stopped = asked.find(job_id);
    if (stopped == asked.end()) return kExitOk;  // told above
    absl::StatusOr<v1::Job> job = stopped->second;
    if (!is_final(job->state())) {
      job = session.client->wait(job_id, stop_patience(stopped->second), session.token());
      if (absl::IsDeadlineExceeded(job.status())) {
        return finish(not_stopped_in_time(stopped->second));
      }
    }
    if (!job.ok()) return finish(job.status());
    return command.json ? print_json(*job)
                        : print_text(job->job_id() + " " + summary_of(*job) + "\n");
  });
  return refused != kExitOk ? refused : failed;
}

int run(const JobQueryCommand& command) {
  CallerSession session;
  const auto job_id = open_and_select(session, command.client, command.job_id);
  if (!job_id.ok()) return finish(job_id.status());
  const auto job = session.client->query(*job_id, session.token());
  if (!job.ok()) return finish(job.status());
  if (command.json) return print_json(*job);
  return print_text(describe_job(*job, view_of_stdout(worker_names(session, {*job}))));
}

int run(const JobWaitCommand& command) {
  std::optional<nanoseconds> timeout;
  if (!command.timeout.empty()) {
    const auto value = parse_duration_option("--timeout", command.timeout);
    if (!value.ok()) return report_error(value.status());
    timeout = *value;
  }
  CallerSession session;
  const auto job_ids = open_and_select(session, command.client, command.job_ids, AllJobs::kActive);
  if (!job_ids.ok()) return finish(job_ids.status());
  const auto begin = std::chrono::steady_clock::now();
  return for_each_job(*job_ids, [&](const std::string& job_id) {
    auto left = timeout;
    if (left) {
      const nanoseconds passed = std::chrono::steady_clock::now() - begin;
      left = std::max(*left - passed, nanoseconds::zero());
    }
    const auto job = session.client->wait(job_id, left, session.token());
    return job.ok() ? print_end(*job, command.json) : finish(job.status());
  });
}

int run(const JobLogsCommand& command) {
  CallerSession session;
  const auto job_id = open_and_select(session, command.client, command.job_id);
  if (!job_id.ok()) return finish(job_id.status());
  v1::StreamJobRequest request;
  request.set_job_id(*job_id);
  request.set_follow(command.follow);
  request.set_stream(stream_of(command.stream));
  const auto job = session.client->query(*job_id, session.token());
  if (!job.ok()) return finish(job.status());
  if (has_tasks(*job)) {
    const bool is_of_one =
        command.tail_lines.has_value() || command.offset != 0 || command.attempt != 0;
    if (is_of_one) {
      return report_error(absl::InvalidArgumentError(
          "--tail, --offset and --attempt are for one task: ARRAY.INDEX"));
    }
    const absl::Status status = print_task_logs(session, command.client, *job, request);
    return session.interrupt.happened() ? kExitInterrupted : finish(status);
  }
  request.set_tail_lines(command.tail_lines.value_or(0));
  request.set_offset(command.offset);
  request.set_attempt(command.attempt);
  if (command.tail_lines == 0U) {
    const absl::Status status = skip_to_end(session, request);
    if (session.interrupt.happened()) return kExitInterrupted;
    if (!status.ok() || !command.follow) return finish(status);
  }
  OutputAssembler output(std::move(request));
  const absl::Status status = print_output(session, output);
  if (session.interrupt.happened()) return kExitInterrupted;
  return finish(status);
}

int run(const JobListCommand& command) {
  const auto request = list_request(command);
  if (!request.ok()) return report_error(request.status());
  CallerSession session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto jobs = list_up_to(command.limit, *request, [&session](const auto& page) {
    return session.client->list(page, session.token());
  });
  if (!jobs.ok()) return finish(jobs.status());
  if (command.json) return print_json(*jobs);
  if (command.quiet) return print_ids(*jobs);
  const std::vector<v1::Job> listed(jobs->jobs().begin(), jobs->jobs().end());
  return print_text(describe_jobs(listed, view_of_stdout(worker_names(session, listed))));
}

int run(const JobTasksCommand& command) {
  v1::ListTasksRequest request;
  for (const std::string& word : command.states) {
    const auto state = parse_state(word);
    if (!state.ok()) return report_error(state.status());
    request.add_state(*state);
  }
  CallerSession session;
  const auto job_id = open_and_select(session, command.client, command.job_id);
  if (!job_id.ok()) return finish(job_id.status());
  request.set_job_id(*job_id);
  const auto tasks = list_up_to(command.limit, request, [&session](const auto& page) {
    return session.client->list_tasks(page, session.token());
  });
  if (!tasks.ok()) return finish(tasks.status());
  if (command.json) return print_json(*tasks);
  if (command.quiet) return print_ids(*tasks);
  const std::vector<v1::Job> listed(tasks->jobs().begin(), tasks->jobs().end());
  return print_text(describe_jobs(listed, view_of_stdout(worker_names(session, listed))));
}

int run(const JobExplainCommand& command) {
  CallerSession session;
  const auto job_id = open_and_select(session, command.client, command.job_id);
  if (!job_id.ok()) return finish(job_id.status());
  v1::ExplainJobRequest request;
  request.set_job_id(*job_id);
  const auto answer = session.client->explain(request, session.token());
  if (!answer.ok()) return finish(answer.status());
  if (command.json) return print_json(*answer);
  const int code = print_text(describe_explanation(*answer, view_of_stdout()));
  if (code == kExitOk) tell_why_nobody_fits(session, *answer);
  return code;
}

int run(const JobSignalCommand& command) {
  CallerSession session;
  const auto job_id = open_and_select(session, command.client, command.job_id);
  if (!job_id.ok()) return finish(job_id.status());
  v1::SignalJobRequest request;
  request.set_job_id(*job_id);
  request.set_signal(command.signal);
  request.set_main_process_only(command.main_only);
  return finish(session.client->signal(request, session.token()).status());
}

int run(const JobRetryCommand& command) {
  const auto group = group_selection(command.job_ids, command.group);
  if (!group.ok()) return report_error(group.status());
  if (*group) return retry_group(command, **group);
  if (command.failed) {
    return report_error(absl::InvalidArgumentError(
        "--failed: is for jobs that --name, --label, --queue or --worker select"));
  }
  CallerSession session;
  const auto job_ids = open_and_select(session, command.client, command.job_ids, AllJobs::kEnded);
  if (!job_ids.ok()) return finish(job_ids.status());
  return for_each_job(*job_ids, [&](const std::string& job_id) {
    v1::RetryJobRequest request;
    request.set_job_id(job_id);
    const auto job = session.client->retry(request, session.token());
    if (!job.ok()) return finish(job.status());
    return command.json ? print_json(*job)
                        : print_text(job->job_id() + " " + summary_of(*job) + "\n");
  });
}

int run(const JobDeleteCommand& command) {
  CallerSession session;
  const auto job_ids = open_and_select(session, command.client, command.job_ids, AllJobs::kEnded);
  if (!job_ids.ok()) return finish(job_ids.status());
  return for_each_job(*job_ids, [&](const std::string& job_id) {
    v1::DeleteJobRequest request;
    request.set_job_id(job_id);
    return finish(session.client->erase(request, session.token()));
  });
}

}  // namespace clusterd
