// The calls about named queues.

#include <functional>
#include <utility>

#include "scheduler/keyed_call.h"

namespace clusterd {

grpc::ServerUnaryReactor* SchedulerServiceImpl::ListQueues(grpc::CallbackServerContext* context,
                                                           const v1::ListQueuesRequest* request,
                                                           v1::ListQueuesResponse* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/ListQueues");
  if (!caller.ok()) return refuse(context, caller.status());
  (void)request;
  return start_unary_call(app_, response, [](Scheduler& scheduler, CallId call, Now) {
    return scheduler.list_queues(call);
  });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::GetQueue(grpc::CallbackServerContext* context,
                                                         const v1::GetQueueRequest* request,
                                                         v1::Queue* response) {
  const auto caller = access_.admit(*context, "/clusterd.v1.SchedulerService/GetQueue");
  if (!caller.ok()) return refuse(context, caller.status());
  return start_unary_call(app_, response,
                          [request = *request](Scheduler& scheduler, CallId call, Now) {
                            return scheduler.get_queue(call, request);
                          });
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::SetQueue(grpc::CallbackServerContext* context,
                                                         const v1::SetQueueRequest* request,
                                                         v1::Queue* response) {
  auto call =
      access_.admit_change(*context, "/clusterd.v1.SchedulerService/SetQueue",
                           {.request_id = request->request_id(), .name = request->queue().name()});
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "SetQueue", *request, response,
                          std::mem_fn(&Scheduler::set_queue));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::PauseQueue(grpc::CallbackServerContext* context,
                                                           const v1::PauseQueueRequest* request,
                                                           v1::Queue* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/PauseQueue",
                                   {.request_id = request->request_id(), .name = request->name()});
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "PauseQueue", *request, response,
                          std::mem_fn(&Scheduler::pause_queue));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::ResumeQueue(grpc::CallbackServerContext* context,
                                                            const v1::ResumeQueueRequest* request,
                                                            v1::Queue* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/ResumeQueue",
                                   {.request_id = request->request_id(), .name = request->name()});
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "ResumeQueue", *request, response,
                          std::mem_fn(&Scheduler::resume_queue));
}

grpc::ServerUnaryReactor* SchedulerServiceImpl::DeleteQueue(grpc::CallbackServerContext* context,
                                                            const v1::DeleteQueueRequest* request,
                                                            v1::DeleteQueueResponse* response) {
  auto call = access_.admit_change(*context, "/clusterd.v1.SchedulerService/DeleteQueue",
                                   {.request_id = request->request_id(), .name = request->name()});
  if (!call.ok()) return refuse(context, call.status());
  return start_keyed_call(context, *std::move(call), "DeleteQueue", *request, response,
                          std::mem_fn(&Scheduler::delete_queue));
}

}  // namespace clusterd
