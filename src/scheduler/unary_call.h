#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "rpc/audit_trail.h"
#include "rpc/grpc_status.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// What a call has made, for the audit.
inline AuditSubject made_by(const v1::Job& job) { return {.job_id = job.job_id()}; }
inline AuditSubject made_by(const v1::Worker& worker) { return {.worker_id = worker.worker_id()}; }
inline AuditSubject made_by(const v1::MatchingJobsResponse& group) {
  return {.jobs = std::to_string(group.count())};
}
template <typename Response>
AuditSubject made_by(const Response& /*response*/) {
  return {};
}

// A unary RPC that the scheduler answers: finishes with the answer, or, when the caller goes away
// first, takes the question back. Deletes itself when done.
template <typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(SchedulerApp& app, Response* response, Term::Decide decide,
            std::optional<AuditedCall> audited)
      : app_(app), audited_(std::move(audited)) {
    // Two owners: this, until OnDone, and the call's `done`, which may come after it.
    id_ = app_.call(
        [this, response](absl::StatusOr<Answer> answer) {
          const absl::Status status = answer.status();
          if (status.ok()) *response = std::get<Response>(*std::move(answer));
          // Of a question that was taken back nobody knows whether it has been acted on: the audit
          // is told so when this ends.
          const bool is_unknown = taken_back_ && absl::IsCancelled(status);
          if (audited_ && !is_unknown) {
            audited_->end(status, status.ok() ? made_by(*response) : AuditSubject());
          }
          Finish(to_grpc(status));
        },
        std::move(decide));
  }

  void OnCancel() override {
    taken_back_ = true;
    app_.abandon(id_);
  }
  void OnDone() override { delete this; }

 private:
  SchedulerApp& app_;
  std::optional<AuditedCall> audited_;
  std::atomic<CallId> id_ = 0;
  std::atomic<bool> taken_back_ = false;
};

// Begins the call; the reactor is gRPC's from here on. One that changes something is `audited`.
template <typename Response>
grpc::ServerUnaryReactor* start_unary_call(SchedulerApp& app, Response* response,
                                           Term::Decide decide,
                                           std::optional<AuditedCall> audited = std::nullopt) {
  return new UnaryCall<Response>(app, response, std::move(decide), std::move(audited));
}

// Ends an RPC at once.
inline grpc::ServerUnaryReactor* refuse(grpc::CallbackServerContext* context,
                                        const absl::Status& status) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(to_grpc(status));
  return reactor;
}

// The same for a call that is audited.
inline grpc::ServerUnaryReactor* refuse(grpc::CallbackServerContext* context, AuditedCall& audited,
                                        const absl::Status& status) {
  audited.end(status);
  return refuse(context, status);
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
