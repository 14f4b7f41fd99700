#include "scheduler/original_doors.h"

#include <utility>

#include "rpc/forwarded_caller.h"
#include "scheduler/call_back_address.h"
#include "scheduler/forwarded_calls.h"
#include "scheduler/unary_call.h"

namespace clusterd {
namespace {

constexpr uint16_t kGoWorkPort = 40041;

// Passes on a call that is not answered here.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* pass_on_call(LeaderLink& link, const LeaderLink::Route& route,
                                       AccessControl& access, grpc::CallbackServerContext* context,
                                       const char* method, Request request, Response* response) {
  const bool was_passed_on = forwarded_door(context->client_metadata()) != Door::kNone;
  if (was_passed_on || route.channel == nullptr) {
    return refuse(context, LeaderLink::nobody_leads());
  }
  const auto caller = access.admit(*context, method);
  if (!caller.ok()) return refuse(context, caller.status());
  auto* call = new ForwardedUnary<Request, Response>(link, route, *context);
  pass_on(*context, Door::kGrpc, *caller, call->context());
  call->start(method, std::move(request), response);
  return call;
}

// The request with the address at which the caller can be called, which is known here only; as it
// is where that cannot be told: the leader says what is wrong with it.
template <typename Request>
Request with_address(const Request& request, const std::string& peer, uint16_t default_port) {
  Request completed = request;
  if (request.address().empty()) return completed;
  auto address = call_back_address(request.address(), peer, default_port);
  if (address.ok()) completed.set_address(*std::move(address));
  return completed;
}

}  // namespace

grpc::ServerUnaryReactor* JobschedulerDoor::RegisterWorker(grpc::CallbackServerContext* context,
                                                           const jobscheduler::RegisterReq* request,
                                                           jobscheduler::RegisterRes* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.RegisterWorker(context, request, response);
  return pass_on_call(link_, route, access_, context, "/jobscheduler.Scheduler/RegisterWorker",
                      with_address(*request, context->peer(), 0), response);
}

grpc::ServerUnaryReactor* JobschedulerDoor::DeregisterWorker(
    grpc::CallbackServerContext* context, const jobscheduler::DeregisterReq* request,
    jobscheduler::DeregisterRes* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.DeregisterWorker(context, request, response);
  return pass_on_call(link_, route, access_, context, "/jobscheduler.Scheduler/DeregisterWorker",
                      *request, response);
}

grpc::ServerUnaryReactor* GoWorkLeaderDoor::Join(grpc::CallbackServerContext* context,
                                                 const ::cluster::v1::JoinRequest* request,
                                                 ::cluster::v1::JoinResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.Join(context, request, response);
  return pass_on_call(link_, route, access_, context, "/cluster.v1.LeaderService/Join",
                      with_address(*request, context->peer(), kGoWorkPort), response);
}

grpc::ServerUnaryReactor* GoWorkLeaderDoor::Leave(grpc::CallbackServerContext* context,
                                                  const ::cluster::v1::LeaveRequest* request,
                                                  ::cluster::v1::LeaveResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.Leave(context, request, response);
  return pass_on_call(link_, route, access_, context, "/cluster.v1.LeaderService/Leave", *request,
                      response);
}

grpc::ServerUnaryReactor* GoWorkLeaderDoor::Members(grpc::CallbackServerContext* context,
                                                    const ::cluster::v1::MembersRequest* request,
                                                    ::cluster::v1::MembersResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.Members(context, request, response);
  return pass_on_call(link_, route, access_, context, "/cluster.v1.LeaderService/Members", *request,
                      response);
}

grpc::ServerUnaryReactor* GoWorkLeaderDoor::Heartbeat(
    grpc::CallbackServerContext* context, const ::cluster::v1::HeartbeatRequest* request,
    ::cluster::v1::HeartbeatResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.Heartbeat(context, request, response);
  return pass_on_call(link_, route, access_, context, "/cluster.v1.LeaderService/Heartbeat",
                      *request, response);
}

grpc::ServerUnaryReactor* GoWorkSchedulerDoor::ScheduleTask(
    grpc::CallbackServerContext* context, const ::scheduler::v1::ScheduleTaskRequest* request,
    ::scheduler::v1::ScheduleTaskResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.ScheduleTask(context, request, response);
  return pass_on_call(link_, route, access_, context, "/scheduler.v1.SchedulerService/ScheduleTask",
                      *request, response);
}

grpc::ServerUnaryReactor* GoWorkSchedulerDoor::CancelTask(
    grpc::CallbackServerContext* context, const ::scheduler::v1::CancelTaskRequest* request,
    ::scheduler::v1::CancelTaskResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.CancelTask(context, request, response);
  return pass_on_call(link_, route, access_, context, "/scheduler.v1.SchedulerService/CancelTask",
                      *request, response);
}

grpc::ServerUnaryReactor* GoWorkSchedulerDoor::GetTasks(
    grpc::CallbackServerContext* context, const ::scheduler::v1::GetTasksRequest* request,
    ::scheduler::v1::GetTasksResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.GetTasks(context, request, response);
  return pass_on_call(link_, route, access_, context, "/scheduler.v1.SchedulerService/GetTasks",
                      *request, response);
}

grpc::ServerUnaryReactor* GoWorkSchedulerDoor::TaskComplete(
    grpc::CallbackServerContext* context, const ::scheduler::v1::TaskCompleteRequest* request,
    ::scheduler::v1::TaskCompleteResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.TaskComplete(context, request, response);
  return pass_on_call(link_, route, access_, context, "/scheduler.v1.SchedulerService/TaskComplete",
                      *request, response);
}

}  // namespace clusterd
