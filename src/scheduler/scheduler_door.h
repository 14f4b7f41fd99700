#pragma once

#include "clusterd/v1/scheduler_service.grpc.pb.h"
#include "rpc/access_control.h"
#include "rpc/authenticator.h"
#include "rpc/forwarded_caller.h"
#include "scheduler/leader_link.h"

namespace clusterd {

// The public service of one of several schedulers: answers where this one leads, and passes every
// call on to the leader where it does not. A call is passed on once at most.
//
// Any thread; owned by run_scheduler, outlives the server.
class SchedulerDoor final : public v1::SchedulerService::CallbackService {
 public:
  using Service = v1::SchedulerService::CallbackService;

  // All outlive this.
  struct Setup {
    LeaderLink& link;
    const Authenticator& peers;  // who is at the other end of a connection
    AccessControl& access;       // of this door
    Service& own;                // answers calls that came in here
    Service& gateways;           // answers those that came in at another scheduler's gateway
  };

  // `door`: kGrpc, or kHttp for the server of the gateway.
  SchedulerDoor(const Setup& setup, Door door) : setup_(setup), door_(door) {}

  grpc::ServerUnaryReactor* StartJob(grpc::CallbackServerContext* context,
                                     const v1::StartJobRequest* request,
                                     v1::Job* response) override;
  grpc::ServerUnaryReactor* StopJob(grpc::CallbackServerContext* context,
                                    const v1::StopJobRequest* request, v1::Job* response) override;
  grpc::ServerUnaryReactor* SignalJob(grpc::CallbackServerContext* context,
                                      const v1::SignalJobRequest* request,
                                      v1::Job* response) override;
  grpc::ServerUnaryReactor* QueryJob(grpc::CallbackServerContext* context,
                                     const v1::QueryJobRequest* request,
                                     v1::Job* response) override;
  grpc::ServerWriteReactor<v1::StreamJobResponse>* StreamJob(
      grpc::CallbackServerContext* context, const v1::StreamJobRequest* request) override;
  grpc::ServerUnaryReactor* WaitJob(grpc::CallbackServerContext* context,
                                    const v1::WaitJobRequest* request, v1::Job* response) override;
  grpc::ServerUnaryReactor* WaitJobs(grpc::CallbackServerContext* context,
                                     const v1::WaitJobsRequest* request,
                                     v1::WaitJobsResponse* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* ListTasks(grpc::CallbackServerContext* context,
                                      const v1::ListTasksRequest* request,
                                      v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* ExplainJob(grpc::CallbackServerContext* context,
                                       const v1::ExplainJobRequest* request,
                                       v1::ExplainJobResponse* response) override;
  grpc::ServerUnaryReactor* RetryJob(grpc::CallbackServerContext* context,
                                     const v1::RetryJobRequest* request,
                                     v1::Job* response) override;
  grpc::ServerUnaryReactor* DeleteJob(grpc::CallbackServerContext* context,
                                      const v1::DeleteJobRequest* request,
                                      v1::DeleteJobResponse* response) override;
  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* context,
                                        const v1::ListWorkersRequest* request,
                                        v1::ListWorkersResponse* response) override;
  grpc::ServerUnaryReactor* GetWorker(grpc::CallbackServerContext* context,
                                      const v1::GetWorkerRequest* request,
                                      v1::Worker* response) override;
  grpc::ServerUnaryReactor* DrainWorker(grpc::CallbackServerContext* context,
                                        const v1::DrainWorkerRequest* request,
                                        v1::Worker* response) override;
  grpc::ServerUnaryReactor* ResumeWorker(grpc::CallbackServerContext* context,
                                         const v1::ResumeWorkerRequest* request,
                                         v1::Worker* response) override;
  grpc::ServerUnaryReactor* RemoveWorker(grpc::CallbackServerContext* context,
                                         const v1::RemoveWorkerRequest* request,
                                         v1::Worker* response) override;
  grpc::ServerUnaryReactor* ListScripts(grpc::CallbackServerContext* context,
                                        const v1::ListScriptsRequest* request,
                                        v1::ListScriptsResponse* response) override;
  grpc::ServerWriteReactor<v1::Event>* WatchEvents(grpc::CallbackServerContext* context,
                                                   const v1::WatchEventsRequest* request) override;
  grpc::ServerUnaryReactor* GetCluster(grpc::CallbackServerContext* context,
                                       const v1::GetClusterRequest* request,
                                       v1::Cluster* response) override;
  grpc::ServerUnaryReactor* StopMatchingJobs(grpc::CallbackServerContext* context,
                                             const v1::StopMatchingJobsRequest* request,
                                             v1::MatchingJobsResponse* response) override;
  grpc::ServerUnaryReactor* RetryMatchingJobs(grpc::CallbackServerContext* context,
                                              const v1::RetryMatchingJobsRequest* request,
                                              v1::MatchingJobsResponse* response) override;
  grpc::ServerUnaryReactor* CreateSchedule(grpc::CallbackServerContext* context,
                                           const v1::CreateScheduleRequest* request,
                                           v1::Schedule* response) override;
  grpc::ServerUnaryReactor* UpdateSchedule(grpc::CallbackServerContext* context,
                                           const v1::UpdateScheduleRequest* request,
                                           v1::Schedule* response) override;
  grpc::ServerUnaryReactor* ListSchedules(grpc::CallbackServerContext* context,
                                          const v1::ListSchedulesRequest* request,
                                          v1::ListSchedulesResponse* response) override;
  grpc::ServerUnaryReactor* GetSchedule(grpc::CallbackServerContext* context,
                                        const v1::GetScheduleRequest* request,
                                        v1::Schedule* response) override;
  grpc::ServerUnaryReactor* PauseSchedule(grpc::CallbackServerContext* context,
                                          const v1::PauseScheduleRequest* request,
                                          v1::Schedule* response) override;
  grpc::ServerUnaryReactor* ResumeSchedule(grpc::CallbackServerContext* context,
                                           const v1::ResumeScheduleRequest* request,
                                           v1::Schedule* response) override;
  grpc::ServerUnaryReactor* TriggerSchedule(grpc::CallbackServerContext* context,
                                            const v1::TriggerScheduleRequest* request,
                                            v1::Job* response) override;
  grpc::ServerUnaryReactor* DeleteSchedule(grpc::CallbackServerContext* context,
                                           const v1::DeleteScheduleRequest* request,
                                           v1::DeleteScheduleResponse* response) override;
  grpc::ServerUnaryReactor* ListQueues(grpc::CallbackServerContext* context,
                                       const v1::ListQueuesRequest* request,
                                       v1::ListQueuesResponse* response) override;
  grpc::ServerUnaryReactor* GetQueue(grpc::CallbackServerContext* context,
                                     const v1::GetQueueRequest* request,
                                     v1::Queue* response) override;
  grpc::ServerUnaryReactor* SetQueue(grpc::CallbackServerContext* context,
                                     const v1::SetQueueRequest* request,
                                     v1::Queue* response) override;
  grpc::ServerUnaryReactor* PauseQueue(grpc::CallbackServerContext* context,
                                       const v1::PauseQueueRequest* request,
                                       v1::Queue* response) override;
  grpc::ServerUnaryReactor* ResumeQueue(grpc::CallbackServerContext* context,
                                        const v1::ResumeQueueRequest* request,
                                        v1::Queue* response) override;
  grpc::ServerUnaryReactor* DeleteQueue(grpc::CallbackServerContext* context,
                                        const v1::DeleteQueueRequest* request,
                                        v1::DeleteQueueResponse* response) override;

 private:
  // Whose answer a call gets that is answered here; an error: it cannot be answered here.
  [[nodiscard]] absl::StatusOr<Service*> service_for(grpc::CallbackServerContext& context,
                                                     const LeaderLink::Route& route);
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* unary(grpc::CallbackServerContext* context, const char* method,
                                  const Request* request, Response* response,
                                  grpc::ServerUnaryReactor* (Service::*answer)(
                                      grpc::CallbackServerContext*, const Request*, Response*));
  template <typename Request, typename Response>
  grpc::ServerWriteReactor<Response>* answers(
      grpc::CallbackServerContext* context, const char* method, const Request* request,
      grpc::ServerWriteReactor<Response>* (Service::*answer)(grpc::CallbackServerContext*,
                                                             const Request*));

  const Setup setup_;
  const Door door_;
};

}  // namespace clusterd
