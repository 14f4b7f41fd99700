#include "scheduler/original_worker_link.h"

#include <chrono>
#include <utility>

#include "core/worker_protocol.h"
#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

using Kind = OriginalCall::Kind;

constexpr auto kProbeDeadline = std::chrono::seconds(5);
constexpr auto kOrderDeadline = std::chrono::seconds(10);
// No worker gives a job this id: it only has to answer.
constexpr const char* kNoJob = "00000000-0000-0000-0000-000000000000";

// One unary call in flight; deletes itself when answered.
template <typename Request, typename Response>
struct Call {
  grpc::ClientContext context;
  Request request;
  Response response;
};

// `read` makes the answer of the response.
template <typename Request, typename Response, typename Method, typename Read>
void start(Kind kind, Request request, WorkerLink::Done<OriginalAnswer> done, Method method,
           Read read) {
  auto* call = new Call<Request, Response>;
  call->request = std::move(request);
  const bool is_order = kind == Kind::kStart || kind == Kind::kStop;
  call->context.set_deadline(std::chrono::system_clock::now() +
                             (is_order ? kOrderDeadline : kProbeDeadline));
  // std::function must be copyable; the two owners are gRPC's copies of it, called once.
  auto shared = std::make_shared<WorkerLink::Done<OriginalAnswer>>(std::move(done));
  method(&call->context, &call->request, &call->response,
         [call, shared, read](const grpc::Status& status) {
           const std::unique_ptr<Call<Request, Response>> owned(call);
           if (!status.ok()) return (*shared)(from_grpc(status));
           (*shared)(read(call->response));
         });
}

absl::Status not_in_protocol(v1::Worker::Protocol protocol, const std::string& what) {
  return absl::UnimplementedError("a worker of the protocol " + std::string(word_of(protocol)) +
                                  " has no " + what);
}

}  // namespace

OriginalWorkerLink::OriginalWorkerLink(const v1::Worker& worker,
                                       std::shared_ptr<grpc::Channel> channel,
                                       OriginalWorkers& owner)
    : worker_id_(worker.worker_id()), protocol_(worker.protocol()), owner_(owner) {
  if (protocol_ == v1::Worker::GO_WORK) {
    go_work_ = ::worker::v1::WorkerService::NewStub(channel);
  } else {
    jobscheduler_ = jobscheduler::Worker::NewStub(channel);
  }
  ours_ = v1::WorkerService::NewStub(channel);
}

void OriginalWorkerLink::call(OriginalCall call, Done<OriginalAnswer> done) {
  if (protocol_ == v1::Worker::GO_WORK) return call_go_work(std::move(call), std::move(done));
  call_jobscheduler(std::move(call), std::move(done));
}

void OriginalWorkerLink::call_jobscheduler(OriginalCall call, Done<OriginalAnswer> done) {
  auto* stub = jobscheduler_->async();
  switch (call.kind) {
    case Kind::kStart: {
      jobscheduler::StartJobReq request;
      request.set_command(call.spec.command());
      request.set_path(call.spec.path());
      return start<jobscheduler::StartJobReq, jobscheduler::StartJobRes>(
          call.kind, std::move(request), std::move(done),
          [stub](auto* context, auto* sent, auto* response, auto callback) {
            stub->StartJob(context, sent, response, std::move(callback));
          },
          [](const auto& response) -> absl::StatusOr<OriginalAnswer> {
            if (response.jobid().empty()) return absl::InternalError("the worker gave no job id");
            OriginalAnswer answer;
            answer.remote_id = response.jobid();
            return answer;
          });
    }
    case Kind::kStop: {
      jobscheduler::StopJobReq request;
      request.set_jobid(call.remote_id);
      return start<jobscheduler::StopJobReq, jobscheduler::StopJobRes>(
          call.kind, std::move(request), std::move(done),
          [stub](auto* context, auto* sent, auto* response, auto callback) {
            stub->StopJob(context, sent, response, std::move(callback));
          },
          [](const auto&) -> absl::StatusOr<OriginalAnswer> { return OriginalAnswer{}; });
    }
    case Kind::kProbe:
    case Kind::kQuery: {
      jobscheduler::QueryJobReq request;
      request.set_jobid(call.remote_id.empty() ? kNoJob : call.remote_id);
      return start<jobscheduler::QueryJobReq, jobscheduler::QueryJobRes>(
          call.kind, std::move(request), std::move(done),
          [stub](auto* context, auto* sent, auto* response, auto callback) {
            stub->QueryJob(context, sent, response, std::move(callback));
          },
          [](const auto& response) -> absl::StatusOr<OriginalAnswer> {
            return OriginalAnswer{.remote_id = "",
                                  .done = response.done(),
                                  .error = response.error(),
                                  .error_text = response.errortext()};
          });
    }
  }
}

void OriginalWorkerLink::call_go_work(OriginalCall call, Done<OriginalAnswer> done) {
  auto* stub = go_work_->async();
  if (call.kind == Kind::kStart) {
    ::worker::v1::StartWorkRequest request;
    request.set_id(call.remote_id);
    request.set_payload(payload_of(call.spec));
    return start<::worker::v1::StartWorkRequest, ::worker::v1::StartWorkResponse>(
        call.kind, std::move(request), std::move(done),
        [stub](auto* context, auto* sent, auto* response, auto callback) {
          stub->StartWork(context, sent, response, std::move(callback));
        },
        [remote_id = call.remote_id](const auto& response) -> absl::StatusOr<OriginalAnswer> {
          if (!response.success()) return absl::UnknownError("failed to start work");
          OriginalAnswer answer;
          answer.remote_id = remote_id;
          return answer;
        });
  }
  // Without an id nothing is stopped: the worker answers that it needs one, so it is there.
  ::worker::v1::StopWorkRequest request;
  if (call.kind == Kind::kStop) request.set_id(call.remote_id);
  start<::worker::v1::StopWorkRequest, ::worker::v1::StopWorkResponse>(
      call.kind, std::move(request), std::move(done),
      [stub](auto* context, auto* sent, auto* response, auto callback) {
        stub->StopWork(context, sent, response, std::move(callback));
      },
      [](const auto& response) -> absl::StatusOr<OriginalAnswer> {
        if (!response.success()) return absl::UnknownError("failed to stop work");
        return OriginalAnswer{};
      });
}

void OriginalWorkerLink::identify(Done<v1::WorkerIdentity> done) {
  owner_.identify(worker_id_, std::move(done));
}

void OriginalWorkerLink::start_jobs(v1::StartJobsRequest request,
                                    Done<v1::StartJobsResponse> done) {
  owner_.start(worker_id_, request, std::move(done));
}

void OriginalWorkerLink::stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done) {
  owner_.stop(worker_id_, request, std::move(done));
}

void OriginalWorkerLink::signal_job(v1::SignalAttemptRequest /*request*/,
                                    Done<v1::SignalAttemptResponse> done) {
  done(not_in_protocol(protocol_, "signals; it can be stopped"));
}

void OriginalWorkerLink::list_scripts(v1::ListWorkerScriptsRequest /*request*/,
                                      Done<v1::ListWorkerScriptsResponse> done) {
  done(not_in_protocol(protocol_, "list of scripts"));
}

void OriginalWorkerLink::stream_output(grpc::ClientContext* context,
                                       const v1::StreamAttemptRequest* request,
                                       grpc::ClientReadReactor<v1::StreamJobResponse>* reactor) {
  ours_->async()->StreamJob(context, request, reactor);
}

}  // namespace clusterd
