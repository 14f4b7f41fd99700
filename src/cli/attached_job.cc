#include "cli/attached_job.h"

#include <optional>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "cli/exit_codes.h"
#include "cli/job_end.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/task_logs.h"
#include "clusterd/job_tasks.h"

namespace clusterd {
AttachedJob::AttachedJob(CallerSession& session, const ClientFlags& flags, v1::Job job,
                         OnInterrupt on_interrupt)
    : session_(session), flags_(flags), job_(std::move(job)), on_interrupt_(on_interrupt) {}

template <typename Call>
auto AttachedJob::through_interrupts(Call call) {
  while (true) {
    auto result = call(session_.interrupt.token(stage_));
    if (result.ok() || !session_.interrupt.happened(stage_)) return result;
    if (on_interrupt_ == OnInterrupt::kDetach) return result;
    on_interrupt();
  }
}

void AttachedJob::on_interrupt() {
  ++stage_;
  const std::stop_token token = session_.interrupt.token(stage_);
  absl::Status status;
  if (stage_ == 1) {
    tell("stopping job " + job_.job_id() + "; Ctrl-C once more kills it");
    v1::StopJobRequest request;
    request.set_job_id(job_.job_id());
    request.set_reason("interrupted");
    status = session_.client->insist(
        [&] { return session_.client->stop_job(request, token).status(); }, token);
  } else {
    tell("killing job " + job_.job_id() + "; Ctrl-C once more leaves it alone");
    v1::SignalJobRequest request;
    request.set_job_id(job_.job_id());
    request.set_signal("KILL");
    status = session_.client->insist(
        [&] { return session_.client->signal(request, token).status(); }, token);
  }
  if (!status.ok() && !session_.interrupt.happened(stage_)) tell(std::string(status.message()));
}

bool AttachedJob::is_detached() const {
  return on_interrupt_ == OnInterrupt::kDetach && session_.interrupt.happened(stage_);
}

int AttachedJob::detached() const {
  tell("detached, job " + job_.job_id() +
       " goes on. To follow it again: clusterd job logs -f --offset " + std::to_string(position_) +
       " " + job_.job_id() + "; to stop it: clusterd job stop " + job_.job_id());
  return kExitInterrupted;
}

absl::Status AttachedJob::follow_attempts(v1::OutputStream::Stream stream, const Read& read) const {
  v1::StreamJobRequest request;
  request.set_job_id(job_.job_id());
  request.set_follow(true);
  request.set_stream(stream);
  while (true) {
    OutputAssembler output(request);
    const absl::Status status = read(output);
    tell_skipped(output);
    // The job ended while it waited for another attempt: by a stop, say.
    if (absl::IsNotFound(status) && request.attempt() > 0) return absl::OkStatus();
    if (!status.ok() || !output.end().another_attempt()) return status;
    request.set_attempt(output.attempt() + 1);
  }
}

absl::Status AttachedJob::follow_tasks() {
  v1::StreamJobRequest request;
  request.set_job_id(job_.job_id());
  request.set_follow(true);
  return print_task_logs(session_, flags_, job_, request);
}

absl::Status AttachedJob::follow_both() {
  const bool is_apart = job_.spec().output().mode() == v1::OutputSpec::SEPARATE;
  std::optional<std::jthread> errors;
  if (is_apart) {
    auto client = connect(flags_);  // one for each thread
    if (!client.ok()) return client.status();
    errors.emplace([this, client = *std::move(client)](const std::stop_token& ending) {
      const absl::Status status =
          follow_attempts(v1::OutputStream::STDERR, [&](OutputAssembler& output) {
            return client->read_output(output, write_stderr, tell, ending);
          });
      if (!status.ok() && !ending.stop_requested()) tell(std::string(status.message()));
    });
  }
  const absl::Status status = follow_attempts(
      is_apart ? v1::OutputStream::STDOUT : v1::OutputStream::STREAM_UNSPECIFIED,
      [this](OutputAssembler& output) {
        const absl::Status read = through_interrupts([&](const std::stop_token& token) {
          return session_.client->read_output(output, write_stdout, tell, token);
        });
        position_ = output.position();
        return read;
      });
  if (errors && status.ok()) errors->join();
  return status;
}

int AttachedJob::follow() {
  const absl::Status status = has_tasks(job_) ? follow_tasks() : follow_both();
  if (is_detached()) return detached();
  // Output that stays away does not hide how the job ended.
  if (absl::IsUnavailable(status)) tell(std::string(status.message()));
  if (!status.ok() && !absl::IsUnavailable(status)) return finish(status);
  return wait(/*as_json=*/false);
}

int AttachedJob::wait(bool as_json, bool with_progress) {
  const auto job = through_interrupts([this, with_progress](const std::stop_token& token) {
    return with_progress ? wait_with_progress(session_, job_.job_id(), token)
                         : session_.client->wait(job_.job_id(), std::nullopt, token);
  });
  if (is_detached()) return detached();
  return job.ok() ? print_end(*job, as_json) : finish(job.status());
}

}  // namespace clusterd
