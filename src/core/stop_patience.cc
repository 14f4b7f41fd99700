#include "core/stop_patience.h"

#include "absl/strings/str_cat.h"
#include "core/config.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kMargin(5);

}  // namespace

std::chrono::nanoseconds stop_patience(const v1::Job& job) {
  const v1::StopRequest& wish = job.stop_requested();
  if (wish.has_grace()) return from_proto(wish.grace()) + kMargin;
  const v1::JobSpec& spec = job.spec();
  const std::chrono::nanoseconds grace =
      spec.has_stop_grace() ? from_proto(spec.stop_grace()) : WorkerConfig::Jobs().stop_grace;
  return grace + kMargin;
}

absl::Status not_stopped_in_time(const v1::Job& job) {
  const double waited = std::chrono::duration<double>(stop_patience(job)).count();
  return absl::DeadlineExceededError(absl::StrCat("job has not stopped in time: ", job.job_id(),
                                                  " is ", v1::Job::State_Name(job.state()), " ",
                                                  waited, " s after the stop; the stop goes on"));
}

}  // namespace clusterd
