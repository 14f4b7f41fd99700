#pragma once

#include "compat/cluster.grpc.pb.h"
#include "compat/jobscheduler.grpc.pb.h"
#include "compat/scheduler.grpc.pb.h"
#include "rpc/access_control.h"
#include "scheduler/leader_link.h"

// The two earlier systems' services of one of several schedulers, as SchedulerDoor: answered where
// this one leads, passed on to the leader where it does not. Any thread; owned by run_scheduler,
// outlive the server. All arguments outlive them.

namespace clusterd {

// What workers of scheduler-worker-grpc call.
class JobschedulerDoor final : public jobscheduler::Scheduler::CallbackService {
 public:
  using Service = jobscheduler::Scheduler::CallbackService;

  JobschedulerDoor(LeaderLink& link, AccessControl& access, Service& own)
      : link_(link), access_(access), own_(own) {}

  grpc::ServerUnaryReactor* RegisterWorker(grpc::CallbackServerContext* context,
                                           const jobscheduler::RegisterReq* request,
                                           jobscheduler::RegisterRes* response) override;
  grpc::ServerUnaryReactor* DeregisterWorker(grpc::CallbackServerContext* context,
                                             const jobscheduler::DeregisterReq* request,
                                             jobscheduler::DeregisterRes* response) override;

 private:
  LeaderLink& link_;
  AccessControl& access_;
  Service& own_;
};

// go-work's members.
class GoWorkLeaderDoor final : public ::cluster::v1::LeaderService::CallbackService {
 public:
  using Service = ::cluster::v1::LeaderService::CallbackService;

  GoWorkLeaderDoor(LeaderLink& link, AccessControl& access, Service& own)
      : link_(link), access_(access), own_(own) {}

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context,
                                 const ::cluster::v1::JoinRequest* request,
                                 ::cluster::v1::JoinResponse* response) override;
  grpc::ServerUnaryReactor* Leave(grpc::CallbackServerContext* context,
                                  const ::cluster::v1::LeaveRequest* request,
                                  ::cluster::v1::LeaveResponse* response) override;
  grpc::ServerUnaryReactor* Members(grpc::CallbackServerContext* context,
                                    const ::cluster::v1::MembersRequest* request,
                                    ::cluster::v1::MembersResponse* response) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const ::cluster::v1::HeartbeatRequest* request,
                                      ::cluster::v1::HeartbeatResponse* response) override;

 private:
  LeaderLink& link_;
  AccessControl& access_;
  Service& own_;
};

// go-work's tasks.
class GoWorkSchedulerDoor final : public ::scheduler::v1::SchedulerService::CallbackService {
 public:
  using Service = ::scheduler::v1::SchedulerService::CallbackService;

  GoWorkSchedulerDoor(LeaderLink& link, AccessControl& access, Service& own)
      : link_(link), access_(access), own_(own) {}

  grpc::ServerUnaryReactor* ScheduleTask(grpc::CallbackServerContext* context,
                                         const ::scheduler::v1::ScheduleTaskRequest* request,
                                         ::scheduler::v1::ScheduleTaskResponse* response) override;
  grpc::ServerUnaryReactor* CancelTask(grpc::CallbackServerContext* context,
                                       const ::scheduler::v1::CancelTaskRequest* request,
                                       ::scheduler::v1::CancelTaskResponse* response) override;
  grpc::ServerUnaryReactor* GetTasks(grpc::CallbackServerContext* context,
                                     const ::scheduler::v1::GetTasksRequest* request,
                                     ::scheduler::v1::GetTasksResponse* response) override;
  grpc::ServerUnaryReactor* TaskComplete(grpc::CallbackServerContext* context,
                                         const ::scheduler::v1::TaskCompleteRequest* request,
                                         ::scheduler::v1::TaskCompleteResponse* response) override;

 private:
  LeaderLink& link_;
  AccessControl& access_;
  Service& own_;
};

}  // namespace clusterd
