#include "scheduler/native_worker_link.h"

#include <chrono>
#include <utility>

#include "rpc/grpc_status.h"

namespace clusterd {
namespace {

constexpr auto kIdentifyDeadline = std::chrono::seconds(5);
constexpr auto kOrderDeadline = std::chrono::seconds(10);

// One unary call in flight; deletes itself when answered.
template <typename Request, typename Response>
struct Call {
  grpc::ClientContext context;
  Request request;
  Response response;
  WorkerLink::Done<Response> done;
};

template <typename Request, typename Response, typename Method>
void start(std::chrono::nanoseconds deadline, Request request, WorkerLink::Done<Response> done,
           Method method) {
  auto* call = new Call<Request, Response>;
  call->request = std::move(request);
  call->done = std::move(done);
  call->context.set_deadline(std::chrono::system_clock::now() + deadline);
  method(&call->context, &call->request, &call->response, [call](const grpc::Status& status) {
    const std::unique_ptr<Call<Request, Response>> owned(call);
    if (status.ok()) {
      call->done(std::move(call->response));
    } else {
      call->done(from_grpc(status));
    }
  });
}

}  // namespace

NativeWorkerLink::NativeWorkerLink(WorkerChannels channels)
    : channels_(std::move(channels)),
      generation_(channels_.generation()),
      channel_(channels_.make()),
      stub_(v1::WorkerService::NewStub(channel_)) {}

v1::WorkerService::Stub& NativeWorkerLink::stub() {
  const uint64_t generation = channels_.generation();
  if (generation != generation_) {
    generation_ = generation;
    next_ = channels_.make();
  }
  if (next_ == nullptr) return *stub_;
  if (next_->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY ||
      channel_->GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_READY) {
    channel_ = std::exchange(next_, nullptr);
    stub_ = v1::WorkerService::NewStub(channel_);
  }
  return *stub_;
}

void NativeWorkerLink::identify(Done<v1::WorkerIdentity> done) {
  start<v1::IdentifyRequest, v1::WorkerIdentity>(
      kIdentifyDeadline, {}, std::move(done),
      [&called = stub()](auto* context, auto* request, auto* response, auto callback) {
        called.async()->Identify(context, request, response, std::move(callback));
      });
}

void NativeWorkerLink::start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) {
  start<v1::StartJobsRequest, v1::StartJobsResponse>(
      kOrderDeadline, std::move(request), std::move(done),
      [&called = stub()](auto* context, auto* sent, auto* response, auto callback) {
        called.async()->StartJobs(context, sent, response, std::move(callback));
      });
}

void NativeWorkerLink::stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done) {
  start<v1::StopJobsRequest, v1::StopJobsResponse>(
      kOrderDeadline, std::move(request), std::move(done),
      [&called = stub()](auto* context, auto* sent, auto* response, auto callback) {
        called.async()->StopJobs(context, sent, response, std::move(callback));
      });
}

void NativeWorkerLink::signal_job(v1::SignalAttemptRequest request,
                                  Done<v1::SignalAttemptResponse> done) {
  start<v1::SignalAttemptRequest, v1::SignalAttemptResponse>(
      kOrderDeadline, std::move(request), std::move(done),
      [&called = stub()](auto* context, auto* sent, auto* response, auto callback) {
        called.async()->SignalJob(context, sent, response, std::move(callback));
      });
}

void NativeWorkerLink::list_scripts(v1::ListWorkerScriptsRequest request,
                                    Done<v1::ListWorkerScriptsResponse> done) {
  start<v1::ListWorkerScriptsRequest, v1::ListWorkerScriptsResponse>(
      kOrderDeadline, std::move(request), std::move(done),
      [&called = stub()](auto* context, auto* sent, auto* response, auto callback) {
        called.async()->ListScripts(context, sent, response, std::move(callback));
      });
}

void NativeWorkerLink::stream_output(grpc::ClientContext* context,
                                     const v1::StreamAttemptRequest* request,
                                     grpc::ClientReadReactor<v1::StreamJobResponse>* reactor) {
  stub().async()->StreamJob(context, request, reactor);
}

}  // namespace clusterd
