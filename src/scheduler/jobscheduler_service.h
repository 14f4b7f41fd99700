#pragma once

#include "compat/jobscheduler.grpc.pb.h"
#include "rpc/access_control.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// What workers of scheduler-worker-grpc call on their scheduler. Any thread. Both outlive the
// server.
class JobschedulerService final : public jobscheduler::Scheduler::CallbackService {
 public:
  JobschedulerService(SchedulerApp& app, AccessControl& access) : app_(app), access_(access) {}

  grpc::ServerUnaryReactor* RegisterWorker(grpc::CallbackServerContext* context,
                                           const jobscheduler::RegisterReq* request,
                                           jobscheduler::RegisterRes* response) override;
  grpc::ServerUnaryReactor* DeregisterWorker(grpc::CallbackServerContext* context,
                                             const jobscheduler::DeregisterReq* request,
                                             jobscheduler::DeregisterRes* response) override;

 private:
  SchedulerApp& app_;
  AccessControl& access_;
};

}  // namespace clusterd
