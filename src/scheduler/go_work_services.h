#pragma once

#include <map>
#include <string>

#include "compat/cluster.grpc.pb.h"
#include "compat/scheduler.grpc.pb.h"
#include "rpc/access_control.h"
#include "scheduler/scheduler_app.h"

namespace clusterd {

// go-work's members: its workers join, leave and say that they live. Any thread. Both outlive the
// server.
class GoWorkLeaderService final : public ::cluster::v1::LeaderService::CallbackService {
 public:
  GoWorkLeaderService(SchedulerApp& app, AccessControl& access) : app_(app), access_(access) {}

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
  SchedulerApp& app_;
  AccessControl& access_;
};

// go-work's tasks: jobs of the queue "go-work" with the caller's id as their external id. Any
// thread. Both outlive the server.
class GoWorkSchedulerService final : public ::scheduler::v1::SchedulerService::CallbackService {
 public:
  GoWorkSchedulerService(SchedulerApp& app, AccessControl& access) : app_(app), access_(access) {}

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
  // Reads them until they fill an answer.
  absl::Status read_tasks(::scheduler::v1::GetTasksResponse& response);

  SchedulerApp& app_;
  AccessControl& access_;
};

}  // namespace clusterd
