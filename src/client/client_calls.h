#pragma once

#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "client/client_operation.h"
#include "rpc/grpc_status.h"

namespace clusterd {

// The calls of Client that have one answer: the same request again, at the next address too, while
// nobody answers or the answer is UNAVAILABLE.
template <typename Request, typename Response>
class UnaryOperation final : public ClientOperation {
 public:
  using Async = v1::SchedulerService::StubInterface::async_interface;
  using Method = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                                 std::function<void(grpc::Status)>);
  using Done = std::function<void(absl::StatusOr<Response>)>;

  // `limit`: of one try.
  UnaryOperation(ClientShared& shared, Method method, Request request, Done done,
                 std::chrono::nanoseconds deadline, std::chrono::nanoseconds limit)
      : ClientOperation(shared, deadline),
        method_(method),
        request_(std::move(request)),
        done_(std::move(done)),
        limit_(limit) {}

  void begin(const std::stop_token& stop) {
    obey(stop);
    send();
  }

 private:
  void send() {
    const auto context = is_late() ? nullptr : next_context(limit_);
    if (context == nullptr) return finish(early_end(last_));
    endpoint_ = shared_.channels->current();
    const auto self = std::static_pointer_cast<UnaryOperation>(shared_from_this());
    Async* async = endpoint_->stub->async();
    (async->*method_)(context.get(), &request_, &response_,
                      [self, context](const grpc::Status& status) { self->ended(status); });
  }

  void ended(const grpc::Status& status) {
    call_ended();
    if (status.ok()) return finish(std::move(response_));
    last_ = from_grpc(status);
    const bool is_connected = endpoint_->channel->GetState(false) == GRPC_CHANNEL_READY;
    const bool repeats = absl::IsUnavailable(last_) || absl::IsDeadlineExceeded(last_);
    if (!repeats) return finish(is_stopped() ? early_end(last_) : last_);
    if (!is_connected || absl::IsDeadlineExceeded(last_)) {
      last_ = absl::UnavailableError("scheduler " + endpoint_->address +
                                     " cannot be reached: " + status.error_message());
    }
    shared_.channels->leave(*endpoint_);  // another one may be able to answer
    if (is_stopped() || is_late() || ++attempts_ >= shared_.options.max_attempts) {
      return finish(early_end(last_));
    }
    response_.Clear();
    if (!is_connected && attempts_ % shared_.channels->size() != 0) return send();
    pause([self = std::static_pointer_cast<UnaryOperation>(shared_from_this())] { self->send(); });
  }

  void finish(absl::StatusOr<Response> result) {
    settle();
    std::exchange(done_, nullptr)(std::move(result));
  }

  const Method method_;
  const Request request_;
  Response response_;
  Done done_;
  const std::chrono::nanoseconds limit_;
  std::shared_ptr<ClientEndpoint> endpoint_;
  absl::Status last_;
  uint32_t attempts_ = 0;
};

// The calls of Client that are streams: opened again where they were cut, for as long as there is
// patience.
template <typename Request, typename Response>
class StreamOperation final : public ClientOperation {
 public:
  using Async = v1::SchedulerService::StubInterface::async_interface;
  using Method = void (Async::*)(grpc::ClientContext*, const Request*,
                                 grpc::ClientReadReactor<Response>*);

  struct Hooks {
    std::function<Request()> next_request;                // of the next call
    std::function<absl::Status(const Response&)> accept;  // an error ends it
    std::function<bool()> is_done;                        // nothing more is to come
    std::function<void(absl::Status)> done;
  };

  StreamOperation(ClientShared& shared, Method method, Hooks hooks,
                  std::optional<std::chrono::nanoseconds> deadline)
      : ClientOperation(shared, deadline), method_(method), hooks_(std::move(hooks)) {}

  void begin(const std::stop_token& stop) {
    obey(stop);
    open();
  }

 private:
  static constexpr std::chrono::hours kLongestCall{1};
  // One that has lasted so long was established, although nothing may have been said.
  static constexpr std::chrono::seconds kEstablished{30};

  // One call. Destroys itself when it has ended.
  class Reader final : public grpc::ClientReadReactor<Response> {
   public:
    Reader(std::shared_ptr<StreamOperation> owner, std::shared_ptr<grpc::ClientContext> context,
           Request request)
        : owner_(std::move(owner)), context_(std::move(context)), request_(std::move(request)) {}

    void start(v1::SchedulerService::Stub& stub, Method method) {
      Async* async = stub.async();
      (async->*method)(context_.get(), &request_, this);
      this->StartRead(&message_);
      this->StartCall();
    }

    void OnReadDone(bool ok) override {
      if (!ok) return;
      owner_->heard();
      verdict_ = owner_->hooks_.accept(message_);
      if (!verdict_.ok()) return context_->TryCancel();
      this->StartRead(&message_);
    }

    void OnDone(const grpc::Status& status) override {
      const auto owner = std::move(owner_);
      const absl::Status verdict = verdict_;
      const absl::Status ended = from_grpc(status);
      delete this;
      owner->closed(verdict, ended);
    }

   private:
    std::shared_ptr<StreamOperation> owner_;
    const std::shared_ptr<grpc::ClientContext> context_;
    const Request request_;
    Response message_;
    absl::Status verdict_;
  };

  void open() {
    const auto context = is_late() ? nullptr : next_context(kLongestCall);
    if (context == nullptr) return finish(early_end(last_));
    endpoint_ = shared_.channels->current();
    opened_ = Clock::now();
    auto* reader = new Reader(std::static_pointer_cast<StreamOperation>(shared_from_this()),
                              context, hooks_.next_request());
    reader->start(*endpoint_->stub, method_);
  }

  void heard() {
    answered_ = true;
    attempts_ = 0;
    failing_since_.reset();
    reset_pause();
  }

  void closed(const absl::Status& verdict, const absl::Status& status) {
    call_ended();
    if (hooks_.is_done()) return finish(absl::OkStatus());
    if (!verdict.ok()) return finish(verdict);
    last_ = status.ok() ? absl::UnavailableError("the stream was cut") : status;
    if (is_stopped() || is_late()) return finish(early_end(last_));
    if (!is_interruption(last_.code())) return finish(last_);
    const bool is_connected = endpoint_->channel->GetState(false) == GRPC_CHANNEL_READY;
    if (!is_connected || absl::IsUnavailable(last_)) shared_.channels->leave(*endpoint_);
    answered_ = answered_ || is_connected;
    if (Clock::now() - opened_ > kEstablished) heard();
    if (!failing_since_) failing_since_ = Clock::now();
    ++attempts_;
    const bool gives_up = answered_ ? Clock::now() - *failing_since_ > shared_.options.patience
                                    : attempts_ >= shared_.options.max_attempts;
    if (gives_up) return finish(last_);
    pause([self = std::static_pointer_cast<StreamOperation>(shared_from_this())] { self->open(); });
  }

  void finish(const absl::Status& status) {
    settle();
    std::exchange(hooks_.done, nullptr)(status);
  }

  const Method method_;
  Hooks hooks_;
  std::shared_ptr<ClientEndpoint> endpoint_;
  absl::Status last_;
  Time opened_;                        // the call under way
  std::optional<Time> failing_since_;  // nothing has worked
  uint32_t attempts_ = 0;              // since anything was heard
  bool answered_ = false;              // some scheduler, ever
};

}  // namespace clusterd
