#include "worker/library/handler_check.h"

#include <algorithm>

#include "core/field_error.h"
#include "core/job_spec_check.h"
#include "core/proto_time.h"
#include "core/units.h"

namespace clusterd {

absl::StatusOr<internal::LaunchPlan> check_handler_start(const HandlerBounds& bounds,
                                                         const v1::StartAttempt& attempt) {
  const v1::JobSpec& spec = attempt.spec();
  if (spec.handler().empty()) {
    return field_error(absl::StatusCode::kFailedPrecondition, "handler",
                       "is empty, and this worker is a program that runs its handlers only");
  }
  if (auto status = check_job_spec(spec); !status.ok()) return status;
  const auto& names = bounds.handlers;
  if (std::find(names.begin(), names.end(), spec.handler()) == names.end()) {
    return field_error(absl::StatusCode::kFailedPrecondition, "handler",
                       "\"" + spec.handler() + "\" is not offered by this worker");
  }
  const uint64_t wanted = spec.output().max_bytes();
  if (wanted > bounds.max_output_bytes) {
    return invalid_field("output.max_bytes", std::to_string(wanted) +
                                                 " is above this worker's max_output_bytes of " +
                                                 std::to_string(bounds.max_output_bytes) + " (" +
                                                 format_size(bounds.max_output_bytes) + ")");
  }
  internal::LaunchPlan plan;
  *plan.mutable_key() = attempt.key();
  plan.set_executable(spec.handler());
  plan.set_stdin(attempt.SerializeAsString());
  if (from_proto(spec.timeout()).count() > 0) *plan.mutable_timeout() = spec.timeout();
  *plan.mutable_stop_grace() =
      spec.has_stop_grace() ? spec.stop_grace() : to_proto(bounds.stop_grace);
  plan.set_output_mode(v1::OutputSpec::MERGED);
  plan.set_max_output_bytes(wanted == 0 ? bounds.max_output_bytes : wanted);
  const bool stops = spec.output().on_limit() == v1::OutputSpec::STOP;
  plan.set_on_output_limit(stops ? v1::OutputSpec::STOP : v1::OutputSpec::DISCARD_OLDEST);
  if (attempt.has_fence_after()) *plan.mutable_fence_after() = attempt.fence_after();
  plan.set_trace_parent(attempt.trace_parent());
  return plan;
}

}  // namespace clusterd
