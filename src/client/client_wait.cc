#include "client/client_wait.h"

#include <utility>

#include "client/client_calls.h"
#include "clusterd/job_states.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kSlice(30);
constexpr std::chrono::milliseconds kMargin(
    10'000);  // on top of what the scheduler is asked to wait
constexpr std::chrono::milliseconds kLastMargin(500);  // where that is all that is left
constexpr std::chrono::seconds kQueryDeadline(30);

}  // namespace

WaitOperation::WaitOperation(ClientShared& shared, std::string job_id, Done done,
                             std::optional<std::chrono::nanoseconds> deadline)
    : ClientOperation(shared, deadline),
      job_id_(std::move(job_id)),
      done_(std::move(done)),
      last_good_(Clock::now()) {}

void WaitOperation::begin(const std::stop_token& stop) {
  stop_ = stop;
  obey(stop);
  // Tells a scheduler that is not there, or a job, from one that goes away later.
  v1::QueryJobRequest request;
  request.set_job_id(job_id_);
  const auto self = std::static_pointer_cast<WaitOperation>(shared_from_this());
  using Operation = UnaryOperation<v1::QueryJobRequest, v1::Job>;
  const Operation::Method method = &Operation::Async::QueryJob;
  const std::chrono::nanoseconds most = left(kQueryDeadline);
  std::make_shared<Operation>(
      shared_, method, std::move(request),
      [self](absl::StatusOr<v1::Job> job) { self->queried(std::move(job)); }, most, most)
      ->begin(stop_);
}

void WaitOperation::queried(absl::StatusOr<v1::Job> job) {
  if (!job.ok()) {
    if (is_stopped() || is_late()) return finish(early_end(job.status()));
    return finish(std::move(job));
  }
  if (is_final(job->state())) return finish(std::move(job));
  answered_ = true;
  last_good_ = Clock::now();
  ask();
}

void WaitOperation::ask() {
  if (is_stopped()) return finish(early_end(absl::OkStatus()));
  const std::chrono::nanoseconds slice = left(kSlice);
  const std::chrono::nanoseconds most = slice + (slice < kSlice ? kLastMargin : kMargin);
  v1::WaitJobRequest request;
  request.set_job_id(job_id_);
  *request.mutable_timeout() = to_proto(slice);
  const auto self = std::static_pointer_cast<WaitOperation>(shared_from_this());
  using Operation = UnaryOperation<v1::WaitJobRequest, v1::Job>;
  const Operation::Method method = &Operation::Async::WaitJob;
  std::make_shared<Operation>(
      shared_, method, std::move(request),
      [self](absl::StatusOr<v1::Job> job) { self->answered(std::move(job)); }, most, most)
      ->begin(stop_);
}

void WaitOperation::answered(absl::StatusOr<v1::Job> job) {
  if (job.ok() && is_final(job->state())) return finish(std::move(job));
  if (is_stopped()) return finish(early_end(job.status()));
  if (is_late()) {
    if (!job.ok()) return finish(early_end(job.status()));
    return finish(absl::DeadlineExceededError("job " + job_id_ + " is still " +
                                              std::string(name_of(job->state()))));
  }
  if (job.ok()) {
    answered_ = true;
    last_good_ = Clock::now();
    reset_pause();
    // By the timer, so that a scheduler that answers early is not asked without a pause.
    return pause(
        [self = std::static_pointer_cast<WaitOperation>(shared_from_this())] { self->ask(); });
  }
  const bool goes_on = answered_ && is_interruption(job.status().code()) &&
                       Clock::now() - last_good_ <= shared_.options.patience;
  if (!goes_on) return finish(std::move(job));
  pause([self = std::static_pointer_cast<WaitOperation>(shared_from_this())] { self->ask(); });
}

void WaitOperation::finish(absl::StatusOr<v1::Job> result) {
  settle();
  std::exchange(done_, nullptr)(std::move(result));
}

}  // namespace clusterd
