#include "scheduler/jobscheduler_service.h"

#include <utility>

#include "core/ids.h"
#include "rpc/grpc_status.h"
#include "scheduler/call_back_address.h"
#include "scheduler/unary_call.h"

namespace clusterd {

grpc::ServerUnaryReactor* JobschedulerService::RegisterWorker(
    grpc::CallbackServerContext* context, const jobscheduler::RegisterReq* request,
    jobscheduler::RegisterRes* response) {
  const auto caller = access_.admit(*context, "/jobscheduler.Scheduler/RegisterWorker");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  const auto address = call_back_address(request->address(), context->peer());
  if (!address.ok()) {
    reactor->Finish(to_grpc(address.status()));
    return reactor;
  }
  OriginalOrder order{.protocol = v1::Worker::JOBSCHEDULER,
                      .name = *address,
                      .address = *address,
                      .fresh_worker_id = new_uuid_v4()};
  app_.call(
      [reactor, response](absl::StatusOr<Answer> answer) {
        const absl::Status ended = answer.status();
        if (ended.ok()) {
          response->set_success(true);
          response->set_workerid(std::get<v1::RegisterWorkerResponse>(*answer).worker_id());
        }
        reactor->Finish(to_grpc(ended));
      },
      [order = std::move(order)](Scheduler& scheduler, CallId call, Now now) {
        return scheduler.register_original(call, order, now);
      });
  return reactor;
}

grpc::ServerUnaryReactor* JobschedulerService::DeregisterWorker(
    grpc::CallbackServerContext* context, const jobscheduler::DeregisterReq* request,
    jobscheduler::DeregisterRes* response) {
  const auto caller = access_.admit(*context, "/jobscheduler.Scheduler/DeregisterWorker");
  if (!caller.ok()) return refuse(context, caller.status());
  auto* reactor = context->DefaultReactor();
  app_.call(
      [reactor, response](const absl::StatusOr<Answer>& answer) {
        // The original did not mind an id that it did not know: the worker is gone either way.
        const bool gone = answer.ok() || absl::IsNotFound(answer.status());
        response->set_success(gone);
        reactor->Finish(gone ? grpc::Status::OK : to_grpc(answer.status()));
      },
      [id = request->workerid()](Scheduler& scheduler, CallId call, Now now) {
        return scheduler.leave_original(call, v1::Worker::JOBSCHEDULER, id, now);
      });
  return reactor;
}

}  // namespace clusterd
