#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "clusterd/v1/worker_service.grpc.pb.h"
#include "compat/jobscheduler.grpc.pb.h"
#include "compat/worker.grpc.pb.h"
#include "scheduler/original_workers.h"
#include "scheduler/worker_link.h"

namespace clusterd {

// The link to a worker of one of the two earlier systems, over one persistent channel.
//
// What the scheduler orders goes to OriginalWorkers, which decides what the worker is asked; that
// comes back as call(). The orders come on the core thread, the rest on any. Owned by its member.
class OriginalWorkerLink final : public WorkerLink {
 public:
  // `owner` outlives this.
  OriginalWorkerLink(const v1::Worker& worker, std::shared_ptr<grpc::Channel> channel,
                     OriginalWorkers& owner);

  // In the worker's own protocol, with a deadline. The status is what the worker answered, or
  // UNAVAILABLE, DEADLINE_EXCEEDED and the like where it did not.
  void call(OriginalCall call, Done<OriginalAnswer> done);

  void identify(Done<v1::WorkerIdentity> done) override;
  void start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) override;
  void stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done) override;
  // UNIMPLEMENTED, both: no such thing in either protocol.
  void signal_job(v1::SignalAttemptRequest request, Done<v1::SignalAttemptResponse> done) override;
  void list_scripts(v1::ListWorkerScriptsRequest request,
                    Done<v1::ListWorkerScriptsResponse> done) override;
  // The worker does not know this call, and says so.
  void stream_output(grpc::ClientContext* context, const v1::StreamAttemptRequest* request,
                     grpc::ClientReadReactor<v1::StreamJobResponse>* reactor) override;

 private:
  void call_jobscheduler(OriginalCall call, Done<OriginalAnswer> done);
  void call_go_work(OriginalCall call, Done<OriginalAnswer> done);

  const std::string worker_id_;
  const v1::Worker::Protocol protocol_;
  OriginalWorkers& owner_;
  std::unique_ptr<jobscheduler::Worker::Stub> jobscheduler_;
  std::unique_ptr<::worker::v1::WorkerService::Stub> go_work_;
  std::unique_ptr<v1::WorkerService::Stub> ours_;
};

}  // namespace clusterd
