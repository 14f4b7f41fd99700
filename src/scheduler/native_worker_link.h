#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "clusterd/v1/worker_service.grpc.pb.h"
#include "scheduler/worker_link.h"

namespace clusterd {

// Calls a worker of ours by clusterd.v1.WorkerService over one persistent channel.
class NativeWorkerLink final : public WorkerLink {
 public:
  explicit NativeWorkerLink(const std::shared_ptr<grpc::Channel>& channel);

  void identify(Done<v1::WorkerIdentity> done) override;
  void start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) override;
  void stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done) override;
  void signal_job(v1::SignalAttemptRequest request, Done<v1::SignalAttemptResponse> done) override;
  void list_scripts(v1::ListWorkerScriptsRequest request,
                    Done<v1::ListWorkerScriptsResponse> done) override;
  void stream_output(grpc::ClientContext* context, const v1::StreamAttemptRequest* request,
                     grpc::ClientReadReactor<v1::StreamJobResponse>* reactor) override;

 private:
  std::unique_ptr<v1::WorkerService::Stub> stub_;
};

}  // namespace clusterd
