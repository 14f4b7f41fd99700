#include "cli/attached_job.h"
#include "cli/caller_session.h"
#include "cli/exit_codes.h"
#include "cli/hints.h"
#include "cli/job_spec_builder.h"
#include "cli/print.h"
#include "cli/run_job.h"

namespace clusterd {
namespace {

using enum AttachedJob::OnInterrupt;

// Starts what the command describes; INVALID_ARGUMENT names the option, else the scheduler's error.
absl::StatusOr<v1::Job> start(const JobStartCommand& command, CallerSession& session) {
  auto spec = build_job_spec(command, process_environment());
  if (!spec.ok()) return spec.status();
  if (absl::Status status = session.open(command.client); !status.ok()) return status;
  v1::StartJobRequest request;
  *request.mutable_spec() = *std::move(spec);
  request.set_request_id(command.request_id);
  auto job = session.client->start(request, session.token());
  if (!job.ok()) return with_worker(job.status(), request.spec().worker_id());
  return job;
}

// Says it where no worker will ever take the job as things are.
void tell_where_it_waits(CallerSession& session, const v1::Job& job) {
  if (job.state() != v1::Job::QUEUED || job.pending_reason().empty()) return;
  tell_placement_hints(session, job.spec());
  const bool waits_for_permission =
      job.spec().has_script() && job.pending_reason().find("allow_uploads") != std::string::npos;
  if (!waits_for_permission) return;
  tell(job.pending_reason() +
       "; without --upload a script must lie below a worker's scripts "
       "folder: `clusterd cluster scripts WORKER`");
}

}  // namespace

int run(const JobStartCommand& command) {
  CallerSession session;
  auto job = start(command, session);
  if (!job.ok()) return finish(job.status());
  if (!command.json) tell_where_it_waits(session, *job);
  if (!command.follow && !command.wait) {
    return command.json ? print_json(*job) : print_text(job->job_id() + "\n");
  }
  AttachedJob attached(session, command.client, *job, kDetach);
  if (command.follow) return attached.follow();
  const int failed = command.json ? kExitOk : print_text(job->job_id() + "\n");
  return failed != kExitOk ? failed : attached.wait(command.json, command.progress);
}

int run(const RunCommand& command) {
  CallerSession session(/*stages=*/2);
  auto job = start(command.start, session);
  if (!job.ok()) return finish(job.status());
  if (!command.quiet) tell_where_it_waits(session, *job);
  if (command.detach) return print_text(job->job_id() + "\n");
  if (!command.quiet) tell("job " + job->job_id());
  AttachedJob attached(session, command.start.client, *job, kStop);
  return job->spec().has_array() || job->spec().resources().every_worker()
             ? attached.wait(/*as_json=*/false, /*with_progress=*/!command.quiet)
             : attached.follow();
}

}  // namespace clusterd
