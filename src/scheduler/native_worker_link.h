#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "clusterd/v1/worker_service.grpc.pb.h"
#include "scheduler/worker_link.h"

namespace clusterd {

// How a link makes its channel, and when it has to make another.
struct WorkerChannels {
  std::function<std::shared_ptr<grpc::Channel>()> make;
  // Grows when our certificates change.
  std::function<uint64_t()> generation;
};

// Calls a worker of ours by clusterd.v1.WorkerService over one persistent channel. When our
// certificates change, the next one is made beside it, and used once it is connected, or once the
// old one is not: no call waits for it or fails by it, and calls under way end where they began.
//
// Core thread only, as Term calls it.
class NativeWorkerLink final : public WorkerLink {
 public:
  explicit NativeWorkerLink(WorkerChannels channels);

  void identify(Done<v1::WorkerIdentity> done) override;
  void start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) override;
  void stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done) override;
  void signal_job(v1::SignalAttemptRequest request, Done<v1::SignalAttemptResponse> done) override;
  void list_scripts(v1::ListWorkerScriptsRequest request,
                    Done<v1::ListWorkerScriptsResponse> done) override;
  void stream_output(grpc::ClientContext* context, const v1::StreamAttemptRequest* request,
                     grpc::ClientReadReactor<v1::StreamJobResponse>* reactor) override;

 private:
  v1::WorkerService::Stub& stub();

  const WorkerChannels channels_;
  uint64_t generation_;
  std::shared_ptr<grpc::Channel> channel_;
  std::shared_ptr<grpc::Channel> next_;  // null: the one in use is current
  std::unique_ptr<v1::WorkerService::Stub> stub_;
};

}  // namespace clusterd
