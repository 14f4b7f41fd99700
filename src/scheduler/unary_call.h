#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <utility>
#include <variant>

#include "rpc/grpc_status.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// A unary RPC that the scheduler answers: finishes with the answer, or, when the caller goes away
// first, takes the question back. Deletes itself when done.
template <typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(SchedulerApp& app, Response* response, Term::Decide decide) : app_(app) {
    // Two owners: this, until OnDone, and the call's `done`, which may come after it.
    id_ = app_.call(
        [this, response](absl::StatusOr<Answer> answer) {
          const absl::Status status = answer.status();
          if (status.ok()) *response = std::get<Response>(*std::move(answer));
          Finish(to_grpc(status));
        },
        std::move(decide));
  }

  void OnCancel() override { app_.abandon(id_); }
  void OnDone() override { delete this; }

 private:
  SchedulerApp& app_;
  std::atomic<CallId> id_ = 0;
};

// Begins the call; the reactor is gRPC's from here on.
template <typename Response>
grpc::ServerUnaryReactor* start_unary_call(SchedulerApp& app, Response* response,
                                           Term::Decide decide) {
  return new UnaryCall<Response>(app, response, std::move(decide));
}

// Ends an RPC at once.
inline grpc::ServerUnaryReactor* refuse(grpc::CallbackServerContext* context,
                                        const absl::Status& status) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(to_grpc(status));
  return reactor;
}

// The same for a stream.
template <typename Message>
grpc::ServerWriteReactor<Message>* refuse_stream(const absl::Status& status) {
  class Refused final : public grpc::ServerWriteReactor<Message> {
   public:
    explicit Refused(const absl::Status& why) { this->Finish(to_grpc(why)); }
    void OnDone() override { delete this; }
  };
  return new Refused(status);
}

}  // namespace clusterd
