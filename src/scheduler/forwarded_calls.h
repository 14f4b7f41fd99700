#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "rpc/access_control.h"
#include "rpc/grpc_status.h"
#include "scheduler/leader_link.h"

// Reactors of calls that the scheduler that leads answers. Messages, metadata, deadline and status
// are its word for word. Each is gRPC's from its begin on and deletes itself.

namespace clusterd {

// What all of them have: the call to the leader.
class OnwardCall {
 public:
  // `call` outlives this.
  OnwardCall(LeaderLink& link, const LeaderLink::Route& route, grpc::CallbackServerContext& call)
      : call_(call),
        channel_(route.channel),
        context_(std::make_shared<grpc::ClientContext>()),
        under_way_(link, route, context_) {}

  [[nodiscard]] grpc::ClientContext& context() { return *context_; }
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() { return channel_; }
  void cancel() {
    const auto context = context_;  // the end of the call may come before this returns
    context->TryCancel();
  }

  // Takes over the leader's first metadata; before the first message or the status is sent.
  void take_initial_metadata() {
    if (std::exchange(has_initial_, true)) return;
    for (const auto& [key, value] : context_->GetServerInitialMetadata()) {
      if (is_ours(key)) call_.AddInitialMetadata(text(key), text(value));
    }
  }

  // The status to answer, once the leader's is there.
  [[nodiscard]] grpc::Status end(const grpc::Status& status) {
    const bool was_cut = under_way_.end();
    if (was_cut && status.error_code() == grpc::StatusCode::CANCELLED) {
      return to_grpc(absl::UnavailableError(
          "another scheduler leads now: outcome unknown, repeat with the key"));
    }
    // The leader cannot be reached: nobody has said when to ask again.
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) {
      return to_grpc(LeaderLink::ask_again(from_grpc(status)));
    }
    for (const auto& [key, value] : context_->GetServerTrailingMetadata()) {
      if (is_ours(key)) call_.AddTrailingMetadata(text(key), text(value));
    }
    return status;
  }

 private:
  static bool is_ours(const grpc::string_ref& key) { return key.starts_with("clusterd-"); }
  static std::string text(const grpc::string_ref& value) { return {value.data(), value.size()}; }

  grpc::CallbackServerContext& call_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<grpc::ClientContext> context_;  // shared with LeaderLink
  LeaderLink::Call under_way_;
  bool has_initial_ = false;
};

template <typename Request, typename Response>
class ForwardedUnary final : public grpc::ServerUnaryReactor {
 public:
  ForwardedUnary(LeaderLink& link, const LeaderLink::Route& route,
                 grpc::CallbackServerContext& call)
      : onward_(link, route, call) {}

  [[nodiscard]] grpc::ClientContext& context() { return onward_.context(); }

  // The messages live until this has finished.
  void start(const std::string& method, const Request* request, Response* response) {
    grpc::TemplatedGenericStub<Request, Response>(onward_.channel())
        .UnaryCall(&onward_.context(), method, grpc::StubOptions(), request, response,
                   [this](const grpc::Status& status) {
                     onward_.take_initial_metadata();
                     Finish(onward_.end(status));
                   });
  }

  // The same where the request is not the caller's word for word.
  void start(const std::string& method, Request request, Response* response) {
    completed_ = std::move(request);
    start(method, &*completed_, response);
  }

  void OnCancel() override { onward_.cancel(); }
  void OnDone() override { delete this; }

 private:
  OnwardCall onward_;
  std::optional<Request> completed_;
};

// A stream of answers to one request.
template <typename Request, typename Response>
class ForwardedAnswers final : public grpc::ServerWriteReactor<Response> {
 public:
  ForwardedAnswers(LeaderLink& link, const LeaderLink::Route& route, AccessControl& access,
                   grpc::CallbackServerContext& call, std::string_view method)
      : admitted_(access, call, method), onward_(link, route, call), leader_(*this) {}

  [[nodiscard]] grpc::ClientContext& context() { return onward_.context(); }

  // `request` lives until this has finished.
  void start(const std::string& method, const Request* request) {
    grpc::TemplatedGenericStub<Request, Response>(onward_.channel())
        .PrepareBidiStreamingCall(&onward_.context(), method, grpc::StubOptions(), &leader_);
    leader_.AddHold();  // reads are started from what comes of others
    leader_.StartWriteLast(request, grpc::WriteOptions());
    leader_.StartCall();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) onward_.cancel();
    leader_.StartRead(&message_);  // fails where it was cancelled
  }
  void OnCancel() override { onward_.cancel(); }
  void OnDone() override { delete this; }

 private:
  struct Leader final : grpc::ClientBidiReactor<Request, Response> {
    explicit Leader(ForwardedAnswers& answers) : owner(answers) {}
    // Passed on before the first message, which may be long in coming; and nothing is read before
    // that, as a message would send the metadata too.
    void OnReadInitialMetadataDone(bool ok) override {
      if (!ok) return this->RemoveHold();
      owner.onward_.take_initial_metadata();
      owner.StartSendInitialMetadata();
      this->StartRead(&owner.message_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) return this->RemoveHold();  // last: OnDone may end all
      owner.StartWrite(&owner.message_);
    }
    void OnDone(const grpc::Status& status) override { owner.Finish(owner.onward_.end(status)); }
    ForwardedAnswers& owner;
  };

  const AccessControl::Stream admitted_;
  OnwardCall onward_;
  Leader leader_;
  Response message_;
};

// Streams both ways.
template <typename Request, typename Response>
class ForwardedSession final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  ForwardedSession(LeaderLink& link, const LeaderLink::Route& route, AccessControl& access,
                   grpc::CallbackServerContext& call, std::string_view method)
      : admitted_(access, call, method), onward_(link, route, call), leader_(*this) {}

  [[nodiscard]] grpc::ClientContext& context() { return onward_.context(); }

  void start(const std::string& method) {
    grpc::TemplatedGenericStub<Request, Response>(onward_.channel())
        .PrepareBidiStreamingCall(&onward_.context(), method, grpc::StubOptions(), &leader_);
    leader_.AddHold();
    leader_.StartRead(&down_);
    leader_.StartCall();
    this->StartRead(&up_);
  }

  // From the caller.
  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (is_over_) return;
    if (ok) {
      leader_.StartWrite(&up_);
    } else {
      leader_.StartWritesDone();
    }
  }
  // To the caller.
  void OnWriteDone(bool ok) override {
    if (!ok) onward_.cancel();
    leader_.StartRead(&down_);
  }
  void OnCancel() override { onward_.cancel(); }
  void OnDone() override { delete this; }

 private:
  struct Leader final : grpc::ClientBidiReactor<Request, Response> {
    explicit Leader(ForwardedSession& session) : owner(session) {}
    void OnReadDone(bool ok) override {
      if (!ok) {
        {
          const std::lock_guard lock(owner.mutex_);
          owner.is_over_ = true;
        }
        return this->RemoveHold();  // last: OnDone may end all
      }
      owner.onward_.take_initial_metadata();
      owner.StartWrite(&owner.down_);
    }
    void OnWriteDone(bool ok) override { owner.written(ok); }
    void OnDone(const grpc::Status& status) override {
      owner.onward_.take_initial_metadata();
      owner.Finish(owner.onward_.end(status));
    }
    ForwardedSession& owner;
  };

  // To the leader.
  void written(bool ok) {
    const std::lock_guard lock(mutex_);
    if (ok && !is_over_) this->StartRead(&up_);
  }

  const AccessControl::Stream admitted_;
  OnwardCall onward_;
  Leader leader_;
  std::mutex mutex_;
  bool is_over_ = false;  // the leader says nothing more; guarded by mutex_
  Request up_;
  Response down_;
};

}  // namespace clusterd
