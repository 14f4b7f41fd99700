#include "client/client_operation.h"

#include <algorithm>
#include <utility>

namespace clusterd {

void ClientShared::wait_for_operations() {
  closing.request_stop();
  std::unique_lock lock(mutex);
  none_left.wait(lock, [this] { return operations == 0; });
}

bool is_interruption(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kInternal ||
         code == absl::StatusCode::kUnknown || code == absl::StatusCode::kCancelled ||
         code == absl::StatusCode::kDeadlineExceeded || code == absl::StatusCode::kAborted;
}

ClientOperation::ClientOperation(ClientShared& shared,
                                 std::optional<std::chrono::nanoseconds> deadline)
    : shared_(shared),
      deadline_(deadline ? std::optional(Clock::now() + *deadline) : std::nullopt),
      random_(std::random_device{}()) {
  const std::lock_guard lock(shared_.mutex);
  ++shared_.operations;
}

ClientOperation::~ClientOperation() {
  settle();
  const std::lock_guard lock(shared_.mutex);
  --shared_.operations;
  shared_.none_left.notify_all();
}

void ClientOperation::obey(const std::stop_token& stop) {
  on_closing_.emplace(shared_.closing.get_token(), [this] { this->stop(); });
  on_stop_.emplace(stop, [this] { this->stop(); });
}

void ClientOperation::settle() {
  on_stop_.reset();
  on_closing_.reset();
}

void ClientOperation::stop() {
  // The end of the call may run on this thread, and be the end of this.
  const auto self = weak_from_this().lock();
  if (self == nullptr) return;
  std::shared_ptr<grpc::ClientContext> context;
  uint64_t task = 0;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    context = context_;
    task = task_;
  }
  if (context != nullptr) context->TryCancel();
  if (task != 0) shared_.timer.hasten(task);
}

std::shared_ptr<grpc::ClientContext> ClientOperation::next_context(std::chrono::nanoseconds limit) {
  auto context = std::make_shared<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::duration_cast<std::chrono::microseconds>(left(limit)));
  if (!shared_.options.token.empty()) {
    context->AddMetadata("authorization", "Bearer " + shared_.options.token);
  }
  const std::lock_guard lock(mutex_);
  if (stopped_) return nullptr;
  context_ = context;
  return context;
}

void ClientOperation::call_ended() {
  const std::lock_guard lock(mutex_);
  context_.reset();
}

void ClientOperation::pause(std::function<void()> again) {
  std::uniform_int_distribution<int64_t> jitter(pause_.count() / 2, pause_.count());
  const std::chrono::milliseconds length(jitter(random_));
  pause_ = std::min(pause_ * 2, kLongestPause);
  const Time until =
      deadline_ ? std::min(*deadline_, Clock::now() + length) : Clock::now() + length;
  bool stopped = false;
  uint64_t task = 0;
  {
    const std::lock_guard lock(mutex_);
    task = shared_.timer.run_at(until, [self = shared_from_this(), again = std::move(again)] {
      {
        const std::lock_guard inner(self->mutex_);
        self->task_ = 0;
      }
      again();
    });
    task_ = task;
    stopped = stopped_;
  }
  if (stopped) shared_.timer.hasten(task);
}

bool ClientOperation::is_stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

std::chrono::nanoseconds ClientOperation::left(std::chrono::nanoseconds longest) const {
  if (!deadline_) return longest;
  return std::clamp<std::chrono::nanoseconds>(*deadline_ - Clock::now(),
                                              std::chrono::nanoseconds::zero(), longest);
}

absl::Status ClientOperation::early_end(const absl::Status& last) {
  if (is_stopped()) return absl::CancelledError("interrupted");
  const std::string why = last.ok() ? "" : ": " + std::string(last.message());
  if (is_late()) return absl::DeadlineExceededError("not done within its deadline" + why);
  return last;
}

}  // namespace clusterd
