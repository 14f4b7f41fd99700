#pragma once

#include "clusterd/v1/worker_service.grpc.pb.h"
#include "rpc/access_control.h"
#include "worker/worker_core.h"

namespace clusterd {

// The worker's door for the scheduler: takes a call apart, hands it to WorkerCore, answers.
// Obeys a scheduler and nobody else. Owned by run_worker; gRPC's threads. Holds no state.
class WorkerServiceImpl final : public v1::WorkerService::CallbackService {
 public:
  // Both outlive the server.
  WorkerServiceImpl(WorkerCore& core, AccessControl& access) : core_(core), access_(access) {}

  grpc::ServerUnaryReactor* Identify(grpc::CallbackServerContext* context,
                                     const v1::IdentifyRequest* request,
                                     v1::WorkerIdentity* response) override;
  grpc::ServerUnaryReactor* StartJob(grpc::CallbackServerContext* context,
                                     const v1::StartJobsRequest* request,
                                     v1::StartJobsResponse* response) override;
  grpc::ServerUnaryReactor* StartJobs(grpc::CallbackServerContext* context,
                                      const v1::StartJobsRequest* request,
                                      v1::StartJobsResponse* response) override;
  grpc::ServerUnaryReactor* StopJobs(grpc::CallbackServerContext* context,
                                     const v1::StopJobsRequest* request,
                                     v1::StopJobsResponse* response) override;
  grpc::ServerUnaryReactor* SignalJob(grpc::CallbackServerContext* context,
                                      const v1::SignalAttemptRequest* request,
                                      v1::SignalAttemptResponse* response) override;
  grpc::ServerUnaryReactor* QueryJob(grpc::CallbackServerContext* context,
                                     const v1::QueryAttemptRequest* request,
                                     v1::AttemptStatus* response) override;
  grpc::ServerWriteReactor<v1::StreamJobResponse>* StreamJob(
      grpc::CallbackServerContext* context, const v1::StreamAttemptRequest* request) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const v1::ListAttemptsRequest* request,
                                     v1::ListAttemptsResponse* response) override;
  grpc::ServerUnaryReactor* ListScripts(grpc::CallbackServerContext* context,
                                        const v1::ListWorkerScriptsRequest* request,
                                        v1::ListWorkerScriptsResponse* response) override;

 private:
  grpc::ServerUnaryReactor* start_jobs(grpc::CallbackServerContext* context,
                                       const v1::StartJobsRequest& request,
                                       v1::StartJobsResponse* response);

  WorkerCore& core_;
  AccessControl& access_;
};

}  // namespace clusterd
