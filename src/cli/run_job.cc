#include "cli/run_job.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "absl/status/statusor.h"
#include "cli/exit_codes.h"
#include "cli/interrupt.h"
#include "cli/job_spec_builder.h"
#include "cli/print.h"
#include "client/scheduler_client.h"
#include "clusterd/job_states.h"
#include "core/stop_patience.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;

// A command's connection to the scheduler; Ctrl-C ends its calls.
struct Session {
  Interrupt interrupt;  // first: threads made after it do not get the signals
  std::unique_ptr<SchedulerClient> client;

  absl::Status open(const ClientFlags& flags) {
    const auto config = resolve_client_config(flags, process_environment());
    if (!config.ok()) return config.status();
    auto made = SchedulerClient::make(*config);
    if (!made.ok()) return made.status();
    client = *std::move(made);
    return absl::OkStatus();
  }
  [[nodiscard]] std::stop_token token() const { return interrupt.token(); }
};

void tell(const std::string& text) { std::fprintf(stderr, "clusterd: %s\n", text.c_str()); }

int print_json(const google::protobuf::Message& message) {
  auto text = to_json(message);
  if (text.ok()) *text += "\n";
  return print_text(text);
}

// Prints what was asked for, then exits as the job did.
int print_end(const v1::Job& job, bool as_json) {
  const int failed = as_json ? print_json(job) : kExitOk;
  if (failed != kExitOk) return failed;
  if (job.state() != v1::Job::SUCCEEDED) tell("job " + job.job_id() + " " + summary_of(job));
  return exit_code_of(job);
}

v1::OutputStream::Stream stream_of(const std::string& word) {
  if (word == "stdout") return v1::OutputStream::STDOUT;
  if (word == "stderr") return v1::OutputStream::STDERR;
  if (word == "merged") return v1::OutputStream::MERGED;
  return v1::OutputStream::STREAM_UNSPECIFIED;
}

// Writes one attempt's output to standard output. `written_to` is told how far it came.
absl::StatusOr<OutputResult> print_output(Session& session, const v1::StreamJobRequest& request,
                                          uint64_t& bytes_written) {
  auto result = session.client->read_output(
      request,
      [&bytes_written](std::string_view bytes) {
        const absl::Status status = write_stdout(bytes);
        if (status.ok()) bytes_written += bytes.size();
        return status;
      },
      tell, session.token());
  if (result.ok() && result->skipped > 0) {
    tell(std::to_string(result->skipped) + " bytes of output were released before they were read");
  }
  return result;
}

int detached(const std::string& job_id, uint64_t offset) {
  tell("detached, job " + job_id + " goes on. To follow it again: clusterd job logs -f --offset " +
       std::to_string(offset) + " " + job_id + "; to stop it: clusterd job stop " + job_id);
  return kExitInterrupted;
}

// Follows attempt after attempt until the job has ended.
int follow_to_end(Session& session, const std::string& job_id) {
  v1::StreamJobRequest request;
  request.set_job_id(job_id);
  request.set_follow(true);
  while (true) {
    uint64_t written = 0;
    const auto result = print_output(session, request, written);
    if (session.interrupt.happened()) return detached(job_id, written);
    if (!result.ok() && !absl::IsUnavailable(result.status())) return finish(result.status());
    if (!result.ok()) tell(std::string(result.status().message()));
    if (!result.ok() || !result->end.another_attempt()) break;
    request.set_attempt(result->attempt + 1);
  }
  const auto job = session.client->wait(job_id, std::nullopt, session.token());
  if (session.interrupt.happened()) return detached(job_id, 0);
  return job.ok() ? print_end(*job, /*as_json=*/false) : finish(job.status());
}

// Moves the request to the present end of the output, which is read to its last line to learn it.
absl::Status skip_to_end(Session& session, v1::StreamJobRequest& request) {
  v1::StreamJobRequest last_line = request;
  last_line.set_follow(false);
  last_line.set_tail_lines(1);
  const auto drop = [](std::string_view) { return absl::OkStatus(); };
  const auto result = session.client->read_output(last_line, drop, tell, session.token());
  if (!result.ok()) return result.status();
  request.set_attempt(result->attempt);
  request.set_offset(result->end.total_bytes());
  return absl::OkStatus();
}

absl::StatusOr<v1::Job::State> parse_state(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  v1::Job::State state = v1::Job::STATE_UNSPECIFIED;
  if (v1::Job::State_Parse(word, &state) && state != v1::Job::STATE_UNSPECIFIED) return state;
  return absl::InvalidArgumentError("--state: \"" + word +
                                    "\": allowed are queued, starting, running, succeeded, failed, "
                                    "stopped, timed_out and lost");
}

absl::StatusOr<v1::ListJobsRequest> list_request(const JobListCommand& command) {
  v1::ListJobsRequest request;
  for (const std::string& word : command.states) {
    const auto state = parse_state(word);
    if (!state.ok()) return state.status();
    request.add_state(*state);
  }
  request.set_worker_id(command.worker);
  request.set_name(command.name);
  request.mutable_label()->Assign(command.labels.begin(), command.labels.end());
  return request;
}

// Pages until `limit`.
absl::StatusOr<v1::ListJobsResponse> list_up_to(Session& session, v1::ListJobsRequest request,
                                                uint32_t limit) {
  constexpr int kPage = 1000;
  v1::ListJobsResponse all;
  while (true) {
    const int left = static_cast<int>(limit) - all.jobs_size();
    request.set_page_size(static_cast<uint32_t>(std::min(left, kPage)));
    auto page = session.client->list(request, session.token());
    if (!page.ok()) return page.status();
    for (v1::Job& job : *page->mutable_jobs()) *all.add_jobs() = std::move(job);
    all.set_next_page_token(page->next_page_token());
    const bool is_full = all.jobs_size() >= static_cast<int>(limit);
    if (is_full || page->next_page_token().empty()) return all;
    request.set_page_token(page->next_page_token());
  }
}

// Names of the workers of these jobs. None where they cannot be had: the ids do as well.
WorkerNames worker_names(Session& session, const std::vector<v1::Job>& jobs) {
  WorkerNames names;
  const bool is_needed = std::any_of(jobs.begin(), jobs.end(),
                                     [](const v1::Job& job) { return !job.worker_id().empty(); });
  if (!is_needed) return names;
  const auto workers = session.client->list_workers(session.token());
  if (!workers.ok()) return names;
  for (const v1::Worker& worker : workers->workers()) names[worker.worker_id()] = worker.name();
  return names;
}

}  // namespace

int run(const JobStartCommand& command) {
  auto spec = build_job_spec(command, process_environment());
  if (!spec.ok()) return report_error(spec.status());
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  v1::StartJobRequest request;
  *request.mutable_spec() = *std::move(spec);
  const auto job = session.client->start(request, session.token());
  if (!job.ok()) return finish(job.status());
  if (command.follow) return follow_to_end(session, job->job_id());
  if (!command.wait) {
    return command.json ? print_json(*job) : print_text(job->job_id() + "\n");
  }
  if (!command.json) {
    const int failed = print_text(job->job_id() + "\n");
    if (failed != kExitOk) return failed;
  }
  const auto ended = session.client->wait(job->job_id(), std::nullopt, session.token());
  if (session.interrupt.happened()) return detached(job->job_id(), 0);
  return ended.ok() ? print_end(*ended, command.json) : finish(ended.status());
}

int run(const JobStopCommand& command) {
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  v1::StopJobRequest request;
  request.set_job_id(command.job_id);
  request.set_reason(command.reason);
  auto job = session.client->stop_job(request, session.token());
  if (!job.ok()) return finish(job.status());
  if (!is_final(job->state())) {
    const v1::Job stopped = *std::move(job);
    job = session.client->wait(command.job_id, stop_patience(stopped.spec()), session.token());
    if (absl::IsDeadlineExceeded(job.status())) return finish(not_stopped_in_time(stopped));
  }
  if (!job.ok()) return finish(job.status());
  return command.json ? print_json(*job)
                      : print_text(job->job_id() + " " + summary_of(*job) + "\n");
}

int run(const JobQueryCommand& command) {
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto job = session.client->query(command.job_id, session.token());
  if (!job.ok()) return finish(job.status());
  if (command.json) return print_json(*job);
  return print_text(describe_job(*job, worker_names(session, {*job})));
}

int run(const JobWaitCommand& command) {
  std::optional<nanoseconds> timeout;
  if (!command.timeout.empty()) {
    const auto value = parse_duration_option("--timeout", command.timeout);
    if (!value.ok()) return report_error(value.status());
    timeout = *value;
  }
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto job = session.client->wait(command.job_id, timeout, session.token());
  return job.ok() ? print_end(*job, command.json) : finish(job.status());
}

int run(const JobLogsCommand& command) {
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  v1::StreamJobRequest request;
  request.set_job_id(command.job_id);
  request.set_follow(command.follow);
  request.set_tail_lines(command.tail_lines.value_or(0));
  request.set_offset(command.offset);
  request.set_stream(stream_of(command.stream));
  request.set_attempt(command.attempt);
  if (command.tail_lines == 0U) {
    const absl::Status status = skip_to_end(session, request);
    if (session.interrupt.happened()) return kExitInterrupted;
    if (!status.ok() || !command.follow) return finish(status);
  }
  uint64_t written = 0;
  const auto result = print_output(session, request, written);
  if (session.interrupt.happened()) return kExitInterrupted;
  return finish(result.status());
}

int run(const JobListCommand& command) {
  const auto request = list_request(command);
  if (!request.ok()) return report_error(request.status());
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto jobs = list_up_to(session, *request, command.limit);
  if (!jobs.ok()) return finish(jobs.status());
  if (command.json) return print_json(*jobs);
  const std::vector<v1::Job> listed(jobs->jobs().begin(), jobs->jobs().end());
  return print_text(describe_jobs(listed, worker_names(session, listed)));
}

int run(const ClusterStatusCommand& command) {
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto cluster = session.client->cluster(session.token());
  if (!cluster.ok()) return finish(cluster.status());
  return command.json ? print_json(*cluster) : print_text(describe_cluster(*cluster));
}

int run(const ClusterWorkersCommand& command) {
  Session session;
  if (const absl::Status status = session.open(command.client); !status.ok()) {
    return report_error(status);
  }
  const auto workers = session.client->list_workers(session.token());
  if (!workers.ok()) return finish(workers.status());
  return command.json ? print_json(*workers) : print_text(describe_workers(*workers));
}

}  // namespace clusterd
