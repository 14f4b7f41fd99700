#include "worker/attempt_lines.h"

#include "core/log.h"
#include "core/trace_context.h"

namespace clusterd {
namespace {

// How it ended, where that is a number.
LogValue number_of(bool is_known, int32_t number) {
  return is_known ? LogValue(number) : LogValue::unless_empty("");
}

}  // namespace

void log_order(const v1::StartAttempt& attempt, const LineOwner& owner) {
  if (!is_logged(LogLevel::kDebug)) return;
  log_debug("worker", "attempt ordered",
            {{"job_id", attempt.key().job_id()},
             {"attempt", attempt.key().attempt()},
             {"worker_id", owner.worker_id},
             {"session", owner.session},
             {"trace_id", LogValue::unless_empty(trace_id_of(attempt.trace_parent()))}});
}

void log_refusal(const v1::StartAttempt& attempt, const absl::Status& why, const LineOwner& owner) {
  if (!is_logged(LogLevel::kDebug)) return;
  log_debug("worker", "attempt refused",
            {{"job_id", attempt.key().job_id()},
             {"attempt", attempt.key().attempt()},
             {"worker_id", owner.worker_id},
             {"session", owner.session},
             {"error", why},
             {"trace_id", LogValue::unless_empty(trace_id_of(attempt.trace_parent()))}});
}

void log_end(const TellEnd& told, const LineOwner& owner) {
  if (!is_logged(LogLevel::kDebug)) return;
  log_debug("worker", "attempt ended",
            {{"job_id", told.id.job_id},
             {"attempt", told.id.attempt},
             {"worker_id", owner.worker_id},
             {"session", owner.session},
             {"reason", v1::JobEnd::Reason_Name(told.end.reason())},
             {"exit_code", number_of(told.end.has_exit_code(), told.end.exit_code())},
             {"signal", number_of(told.end.has_signal(), told.end.signal())},
             {"trace_id", LogValue::unless_empty(trace_id_of(told.trace_parent))}});
}

}  // namespace clusterd
