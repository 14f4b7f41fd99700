#pragma once

#include "compat/jobscheduler.grpc.pb.h"
#include "compat/worker.grpc.pb.h"
#include "rpc/access_control.h"
#include "worker/worker_core.h"

namespace clusterd {

// What a scheduler of scheduler-worker-grpc calls on its workers. FAILED_PRECONDITION where this
// worker's scheduler speaks another protocol. Any thread; both outlive the server.
class JobschedulerWorkerService final : public jobscheduler::Worker::CallbackService {
 public:
  JobschedulerWorkerService(WorkerCore& core, AccessControl& access)
      : core_(core), access_(access) {}

  grpc::ServerUnaryReactor* StartJob(grpc::CallbackServerContext* context,
                                     const jobscheduler::StartJobReq* request,
                                     jobscheduler::StartJobRes* response) override;
  grpc::ServerUnaryReactor* StopJob(grpc::CallbackServerContext* context,
                                    const jobscheduler::StopJobReq* request,
                                    jobscheduler::StopJobRes* response) override;
  grpc::ServerUnaryReactor* QueryJob(grpc::CallbackServerContext* context,
                                     const jobscheduler::QueryJobReq* request,
                                     jobscheduler::QueryJobRes* response) override;
  // UNIMPLEMENTED, as with that system's own worker.
  grpc::ServerWriteReactor<jobscheduler::StreamJobRes>* StreamJob(
      grpc::CallbackServerContext* context, const jobscheduler::StreamJobReq* request) override;

 private:
  WorkerCore& core_;
  AccessControl& access_;
};

// What a go-work scheduler calls on its workers. As above.
class GoWorkWorkerService final : public ::worker::v1::WorkerService::CallbackService {
 public:
  GoWorkWorkerService(WorkerCore& core, AccessControl& access) : core_(core), access_(access) {}

  grpc::ServerUnaryReactor* StartWork(grpc::CallbackServerContext* context,
                                      const ::worker::v1::StartWorkRequest* request,
                                      ::worker::v1::StartWorkResponse* response) override;
  grpc::ServerUnaryReactor* StopWork(grpc::CallbackServerContext* context,
                                     const ::worker::v1::StopWorkRequest* request,
                                     ::worker::v1::StopWorkResponse* response) override;

 private:
  WorkerCore& core_;
  AccessControl& access_;
};

}  // namespace clusterd
