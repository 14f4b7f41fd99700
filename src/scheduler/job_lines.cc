#include "scheduler/job_lines.h"

#include "clusterd/job_states.h"
#include "core/log.h"
#include "core/trace_context.h"

namespace clusterd {
namespace {

// Values that are not known leave no field.
LogValue number_of(bool is_known, uint64_t number) {
  return is_known ? LogValue(number) : LogValue::unless_empty("");
}

LogValue trace_id(const std::string& trace_parent) {
  return LogValue::unless_empty(trace_id_of(trace_parent));
}

JobLine line_of(const v1::Job& job, bool is_end) {
  JobLine line{.is_end = is_end, .job = {}, .session = 0};
  line.job.set_job_id(job.job_id());
  line.job.set_seq(job.seq());
  line.job.set_state(job.state());
  line.job.set_attempt(job.attempt());
  line.job.set_worker_id(job.worker_id());
  line.job.set_submitted_by(job.submitted_by());
  line.job.set_trace_parent(job.trace_parent());
  v1::JobEnd& end = *line.job.mutable_end();
  end.set_reason(job.end().reason());
  if (job.end().has_exit_code()) end.set_exit_code(job.end().exit_code());
  if (job.end().has_signal()) end.set_signal(job.end().signal());
  if (!job.attempts().empty()) line.session = job.attempts().rbegin()->session();
  return line;
}

}  // namespace

void add_job_lines(const v1::Job& job, bool is_new, std::vector<JobLine>& lines) {
  if (is_new) lines.push_back(line_of(job, /*is_end=*/false));
  const bool is_late = !job.attempts().empty() && job.attempts().rbegin()->has_late_end();
  if (is_final(job.state()) && !is_late) lines.push_back(line_of(job, /*is_end=*/true));
}

void log_job(const JobLine& line) {
  const v1::Job& job = line.job;
  if (!line.is_end) {
    log_debug("scheduler", "job accepted",
              {{"job_id", job.job_id()},
               {"seq", job.seq()},
               {"submitted_by", LogValue::unless_empty(job.submitted_by())},
               {"trace_id", trace_id(job.trace_parent())}});
    return;
  }
  log_debug(
      "scheduler", "job ended",
      {{"job_id", job.job_id()},
       {"attempt", number_of(job.attempt() != 0, job.attempt())},
       {"worker_id", LogValue::unless_empty(job.worker_id())},
       {"session", number_of(line.session != 0, line.session)},
       {"state", name_of(job.state())},
       {"reason", v1::JobEnd::Reason_Name(job.end().reason())},
       {"exit_code",
        number_of(job.end().has_exit_code(), static_cast<uint64_t>(job.end().exit_code()))},
       {"signal", number_of(job.end().has_signal(), static_cast<uint64_t>(job.end().signal()))},
       {"trace_id", trace_id(job.trace_parent())}});
}

void log_order(const Dispatch& dispatch) {
  if (!is_logged(LogLevel::kDebug)) return;
  log_debug("scheduler", "attempt ordered",
            {{"job_id", dispatch.attempt.key().job_id()},
             {"attempt", dispatch.attempt.key().attempt()},
             {"worker_id", dispatch.worker_id},
             {"session", dispatch.session},
             {"trace_id", trace_id(dispatch.attempt.trace_parent())}});
}

}  // namespace clusterd
