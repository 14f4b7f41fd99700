#include "scheduler/scheduler_door.h"

#include "scheduler/forwarded_calls.h"
#include "scheduler/unary_call.h"

namespace clusterd {

absl::StatusOr<SchedulerDoor::Service*> SchedulerDoor::service_for(
    grpc::CallbackServerContext& context, const LeaderLink::Route& route) {
  const Door came_by =
      door_ == Door::kHttp ? Door::kNone : forwarded_door(context.client_metadata());
  if (!route.is_here) {
    // Passed on here by one that does not know yet that we do not lead: no second hop.
    if (came_by != Door::kNone || route.channel == nullptr) return LeaderLink::nobody_leads();
    return static_cast<Service*>(nullptr);
  }
  if (came_by != Door::kHttp) return &setup_.own;
  if (auto status = check_forwarder(setup_.peers, context); !status.ok()) return status;
  return &setup_.gateways;
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* SchedulerDoor::unary(
    grpc::CallbackServerContext* context, const char* method, const Request* request,
    Response* response,
    grpc::ServerUnaryReactor* (Service::*answer)(grpc::CallbackServerContext*, const Request*,
                                                 Response*)) {
  const LeaderLink::Route route = setup_.link.route();
  const auto service = service_for(*context, route);
  if (!service.ok()) return refuse(context, service.status());
  if (*service != nullptr) return ((*service)->*answer)(context, request, response);
  const auto caller = setup_.access.admit(*context, method);
  if (!caller.ok()) return refuse(context, caller.status());
  auto* call = new ForwardedUnary<Request, Response>(setup_.link, route, *context);
  pass_on(*context, door_, *caller, call->context());
  call->start(method, request, response);
  return call;
}

template <typename Request, typename Response>
grpc::ServerWriteReactor<Response>* SchedulerDoor::answers(
    grpc::CallbackServerContext* context, const char* method, const Request* request,
    grpc::ServerWriteReactor<Response>* (Service::*answer)(grpc::CallbackServerContext*,
                                                           const Request*)) {
  const LeaderLink::Route route = setup_.link.route();
  const auto service = service_for(*context, route);
  if (!service.ok()) return refuse_stream<Response>(service.status());
  if (*service != nullptr) return ((*service)->*answer)(context, request);
  const auto caller = setup_.access.admit_stream(*context, method);
  if (!caller.ok()) return refuse_stream<Response>(caller.status());
  auto* call =
      new ForwardedAnswers<Request, Response>(setup_.link, route, setup_.access, *context, method);
  pass_on(*context, door_, *caller, call->context());
  call->start(method, request);
  return call;
}

grpc::ServerUnaryReactor* SchedulerDoor::StartJob(grpc::CallbackServerContext* context,
                                                  const v1::StartJobRequest* request,
                                                  v1::Job* response) {
  return unary<v1::StartJobRequest, v1::Job>(context, "/clusterd.v1.SchedulerService/StartJob",
                                             request, response, &Service::StartJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::StopJob(grpc::CallbackServerContext* context,
                                                 const v1::StopJobRequest* request,
                                                 v1::Job* response) {
  return unary<v1::StopJobRequest, v1::Job>(context, "/clusterd.v1.SchedulerService/StopJob",
                                            request, response, &Service::StopJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::SignalJob(grpc::CallbackServerContext* context,
                                                   const v1::SignalJobRequest* request,
                                                   v1::Job* response) {
  return unary<v1::SignalJobRequest, v1::Job>(context, "/clusterd.v1.SchedulerService/SignalJob",
                                              request, response, &Service::SignalJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::QueryJob(grpc::CallbackServerContext* context,
                                                  const v1::QueryJobRequest* request,
                                                  v1::Job* response) {
  return unary<v1::QueryJobRequest, v1::Job>(context, "/clusterd.v1.SchedulerService/QueryJob",
                                             request, response, &Service::QueryJob);
}

grpc::ServerWriteReactor<v1::StreamJobResponse>* SchedulerDoor::StreamJob(
    grpc::CallbackServerContext* context, const v1::StreamJobRequest* request) {
  return answers<v1::StreamJobRequest, v1::StreamJobResponse>(
      context, "/clusterd.v1.SchedulerService/StreamJob", request, &Service::StreamJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::WaitJob(grpc::CallbackServerContext* context,
                                                 const v1::WaitJobRequest* request,
                                                 v1::Job* response) {
  return unary<v1::WaitJobRequest, v1::Job>(context, "/clusterd.v1.SchedulerService/WaitJob",
                                            request, response, &Service::WaitJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::WaitJobs(grpc::CallbackServerContext* context,
                                                  const v1::WaitJobsRequest* request,
                                                  v1::WaitJobsResponse* response) {
  return unary<v1::WaitJobsRequest, v1::WaitJobsResponse>(
      context, "/clusterd.v1.SchedulerService/WaitJobs", request, response, &Service::WaitJobs);
}

grpc::ServerUnaryReactor* SchedulerDoor::ListJobs(grpc::CallbackServerContext* context,
                                                  const v1::ListJobsRequest* request,
                                                  v1::ListJobsResponse* response) {
  return unary<v1::ListJobsRequest, v1::ListJobsResponse>(
      context, "/clusterd.v1.SchedulerService/ListJobs", request, response, &Service::ListJobs);
}

grpc::ServerUnaryReactor* SchedulerDoor::ListTasks(grpc::CallbackServerContext* context,
                                                   const v1::ListTasksRequest* request,
                                                   v1::ListJobsResponse* response) {
  return unary<v1::ListTasksRequest, v1::ListJobsResponse>(
      context, "/clusterd.v1.SchedulerService/ListTasks", request, response, &Service::ListTasks);
}

grpc::ServerUnaryReactor* SchedulerDoor::ExplainJob(grpc::CallbackServerContext* context,
                                                    const v1::ExplainJobRequest* request,
                                                    v1::ExplainJobResponse* response) {
  return unary<v1::ExplainJobRequest, v1::ExplainJobResponse>(
      context, "/clusterd.v1.SchedulerService/ExplainJob", request, response, &Service::ExplainJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::RetryJob(grpc::CallbackServerContext* context,
                                                  const v1::RetryJobRequest* request,
                                                  v1::Job* response) {
  return unary<v1::RetryJobRequest, v1::Job>(context, "/clusterd.v1.SchedulerService/RetryJob",
                                             request, response, &Service::RetryJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::DeleteJob(grpc::CallbackServerContext* context,
                                                   const v1::DeleteJobRequest* request,
                                                   v1::DeleteJobResponse* response) {
  return unary<v1::DeleteJobRequest, v1::DeleteJobResponse>(
      context, "/clusterd.v1.SchedulerService/DeleteJob", request, response, &Service::DeleteJob);
}

grpc::ServerUnaryReactor* SchedulerDoor::ListWorkers(grpc::CallbackServerContext* context,
                                                     const v1::ListWorkersRequest* request,
                                                     v1::ListWorkersResponse* response) {
  return unary<v1::ListWorkersRequest, v1::ListWorkersResponse>(
      context, "/clusterd.v1.SchedulerService/ListWorkers", request, response,
      &Service::ListWorkers);
}

grpc::ServerUnaryReactor* SchedulerDoor::GetWorker(grpc::CallbackServerContext* context,
                                                   const v1::GetWorkerRequest* request,
                                                   v1::Worker* response) {
  return unary<v1::GetWorkerRequest, v1::Worker>(context, "/clusterd.v1.SchedulerService/GetWorker",
                                                 request, response, &Service::GetWorker);
}

grpc::ServerUnaryReactor* SchedulerDoor::DrainWorker(grpc::CallbackServerContext* context,
                                                     const v1::DrainWorkerRequest* request,
                                                     v1::Worker* response) {
  return unary<v1::DrainWorkerRequest, v1::Worker>(context,
                                                   "/clusterd.v1.SchedulerService/DrainWorker",
                                                   request, response, &Service::DrainWorker);
}

grpc::ServerUnaryReactor* SchedulerDoor::ResumeWorker(grpc::CallbackServerContext* context,
                                                      const v1::ResumeWorkerRequest* request,
                                                      v1::Worker* response) {
  return unary<v1::ResumeWorkerRequest, v1::Worker>(context,
                                                    "/clusterd.v1.SchedulerService/ResumeWorker",
                                                    request, response, &Service::ResumeWorker);
}

grpc::ServerUnaryReactor* SchedulerDoor::RemoveWorker(grpc::CallbackServerContext* context,
                                                      const v1::RemoveWorkerRequest* request,
                                                      v1::Worker* response) {
  return unary<v1::RemoveWorkerRequest, v1::Worker>(context,
                                                    "/clusterd.v1.SchedulerService/RemoveWorker",
                                                    request, response, &Service::RemoveWorker);
}

grpc::ServerUnaryReactor* SchedulerDoor::ListScripts(grpc::CallbackServerContext* context,
                                                     const v1::ListScriptsRequest* request,
                                                     v1::ListScriptsResponse* response) {
  return unary<v1::ListScriptsRequest, v1::ListScriptsResponse>(
      context, "/clusterd.v1.SchedulerService/ListScripts", request, response,
      &Service::ListScripts);
}

grpc::ServerWriteReactor<v1::Event>* SchedulerDoor::WatchEvents(
    grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) {
  return answers<v1::WatchEventsRequest, v1::Event>(
      context, "/clusterd.v1.SchedulerService/WatchEvents", request, &Service::WatchEvents);
}

grpc::ServerUnaryReactor* SchedulerDoor::GetCluster(grpc::CallbackServerContext* context,
                                                    const v1::GetClusterRequest* request,
                                                    v1::Cluster* response) {
  return unary<v1::GetClusterRequest, v1::Cluster>(
      context, "/clusterd.v1.SchedulerService/GetCluster", request, response, &Service::GetCluster);
}

grpc::ServerUnaryReactor* SchedulerDoor::StopMatchingJobs(
    grpc::CallbackServerContext* context, const v1::StopMatchingJobsRequest* request,
    v1::MatchingJobsResponse* response) {
  return unary<v1::StopMatchingJobsRequest, v1::MatchingJobsResponse>(
      context, "/clusterd.v1.SchedulerService/StopMatchingJobs", request, response,
      &Service::StopMatchingJobs);
}

grpc::ServerUnaryReactor* SchedulerDoor::RetryMatchingJobs(
    grpc::CallbackServerContext* context, const v1::RetryMatchingJobsRequest* request,
    v1::MatchingJobsResponse* response) {
  return unary<v1::RetryMatchingJobsRequest, v1::MatchingJobsResponse>(
      context, "/clusterd.v1.SchedulerService/RetryMatchingJobs", request, response,
      &Service::RetryMatchingJobs);
}

grpc::ServerUnaryReactor* SchedulerDoor::CreateSchedule(grpc::CallbackServerContext* context,
                                                        const v1::CreateScheduleRequest* request,
                                                        v1::Schedule* response) {
  return unary<v1::CreateScheduleRequest, v1::Schedule>(
      context, "/clusterd.v1.SchedulerService/CreateSchedule", request, response,
      &Service::CreateSchedule);
}

grpc::ServerUnaryReactor* SchedulerDoor::UpdateSchedule(grpc::CallbackServerContext* context,
                                                        const v1::UpdateScheduleRequest* request,
                                                        v1::Schedule* response) {
  return unary<v1::UpdateScheduleRequest, v1::Schedule>(
      context, "/clusterd.v1.SchedulerService/UpdateSchedule", request, response,
      &Service::UpdateSchedule);
}

grpc::ServerUnaryReactor* SchedulerDoor::ListSchedules(grpc::CallbackServerContext* context,
                                                       const v1::ListSchedulesRequest* request,
                                                       v1::ListSchedulesResponse* response) {
  return unary<v1::ListSchedulesRequest, v1::ListSchedulesResponse>(
      context, "/clusterd.v1.SchedulerService/ListSchedules", request, response,
      &Service::ListSchedules);
}

grpc::ServerUnaryReactor* SchedulerDoor::GetSchedule(grpc::CallbackServerContext* context,
                                                     const v1::GetScheduleRequest* request,
                                                     v1::Schedule* response) {
  return unary<v1::GetScheduleRequest, v1::Schedule>(context,
                                                     "/clusterd.v1.SchedulerService/GetSchedule",
                                                     request, response, &Service::GetSchedule);
}

grpc::ServerUnaryReactor* SchedulerDoor::PauseSchedule(grpc::CallbackServerContext* context,
                                                       const v1::PauseScheduleRequest* request,
                                                       v1::Schedule* response) {
  return unary<v1::PauseScheduleRequest, v1::Schedule>(
      context, "/clusterd.v1.SchedulerService/PauseSchedule", request, response,
      &Service::PauseSchedule);
}

grpc::ServerUnaryReactor* SchedulerDoor::ResumeSchedule(grpc::CallbackServerContext* context,
                                                        const v1::ResumeScheduleRequest* request,
                                                        v1::Schedule* response) {
  return unary<v1::ResumeScheduleRequest, v1::Schedule>(
      context, "/clusterd.v1.SchedulerService/ResumeSchedule", request, response,
      &Service::ResumeSchedule);
}

grpc::ServerUnaryReactor* SchedulerDoor::TriggerSchedule(grpc::CallbackServerContext* context,
                                                         const v1::TriggerScheduleRequest* request,
                                                         v1::Job* response) {
  return unary<v1::TriggerScheduleRequest, v1::Job>(context,
                                                    "/clusterd.v1.SchedulerService/TriggerSchedule",
                                                    request, response, &Service::TriggerSchedule);
}

grpc::ServerUnaryReactor* SchedulerDoor::DeleteSchedule(grpc::CallbackServerContext* context,
                                                        const v1::DeleteScheduleRequest* request,
                                                        v1::DeleteScheduleResponse* response) {
  return unary<v1::DeleteScheduleRequest, v1::DeleteScheduleResponse>(
      context, "/clusterd.v1.SchedulerService/DeleteSchedule", request, response,
      &Service::DeleteSchedule);
}

grpc::ServerUnaryReactor* SchedulerDoor::ListQueues(grpc::CallbackServerContext* context,
                                                    const v1::ListQueuesRequest* request,
                                                    v1::ListQueuesResponse* response) {
  return unary<v1::ListQueuesRequest, v1::ListQueuesResponse>(
      context, "/clusterd.v1.SchedulerService/ListQueues", request, response, &Service::ListQueues);
}

grpc::ServerUnaryReactor* SchedulerDoor::GetQueue(grpc::CallbackServerContext* context,
                                                  const v1::GetQueueRequest* request,
                                                  v1::Queue* response) {
  return unary<v1::GetQueueRequest, v1::Queue>(context, "/clusterd.v1.SchedulerService/GetQueue",
                                               request, response, &Service::GetQueue);
}

grpc::ServerUnaryReactor* SchedulerDoor::SetQueue(grpc::CallbackServerContext* context,
                                                  const v1::SetQueueRequest* request,
                                                  v1::Queue* response) {
  return unary<v1::SetQueueRequest, v1::Queue>(context, "/clusterd.v1.SchedulerService/SetQueue",
                                               request, response, &Service::SetQueue);
}

grpc::ServerUnaryReactor* SchedulerDoor::PauseQueue(grpc::CallbackServerContext* context,
                                                    const v1::PauseQueueRequest* request,
                                                    v1::Queue* response) {
  return unary<v1::PauseQueueRequest, v1::Queue>(
      context, "/clusterd.v1.SchedulerService/PauseQueue", request, response, &Service::PauseQueue);
}

grpc::ServerUnaryReactor* SchedulerDoor::ResumeQueue(grpc::CallbackServerContext* context,
                                                     const v1::ResumeQueueRequest* request,
                                                     v1::Queue* response) {
  return unary<v1::ResumeQueueRequest, v1::Queue>(context,
                                                  "/clusterd.v1.SchedulerService/ResumeQueue",
                                                  request, response, &Service::ResumeQueue);
}

grpc::ServerUnaryReactor* SchedulerDoor::DeleteQueue(grpc::CallbackServerContext* context,
                                                     const v1::DeleteQueueRequest* request,
                                                     v1::DeleteQueueResponse* response) {
  return unary<v1::DeleteQueueRequest, v1::DeleteQueueResponse>(
      context, "/clusterd.v1.SchedulerService/DeleteQueue", request, response,
      &Service::DeleteQueue);
}

}  // namespace clusterd
