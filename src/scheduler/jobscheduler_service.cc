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
  auto audited = access_.admit_change(*context, "/jobscheduler.Scheduler/RegisterWorker", {},
                                      AuditTrail::OnFailure::kContinue);
  if (!audited.ok()) return refuse(context, audited.status());
  const auto address = call_back_address(request->address(), context->peer());
  if (!address.ok()) return refuse(context, *audited, address.status());
  auto* reactor = context->DefaultReactor();
  OriginalOrder order{.protocol = v1::Worker::JOBSCHEDULER,
                      .name = *address,
                      .address = *address,
                      .fresh_worker_id = new_uuid_v4()};
  app_.call(
      [reactor, response, audited = *std::move(audited)](absl::StatusOr<Answer> answer) mutable {
        const absl::Status ended = answer.status();
        if (ended.ok()) {
          response->set_success(true);
          response->set_workerid(std::get<v1::RegisterWorkerResponse>(*answer).worker_id());
        }
        audited.end(ended, {.worker_id = response->workerid()});
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
  auto audited =
      access_.admit_change(*context, "/jobscheduler.Scheduler/DeregisterWorker",
                           {.worker_id = request->workerid()}, AuditTrail::OnFailure::kContinue);
  if (!audited.ok()) return refuse(context, audited.status());
  auto* reactor = context->DefaultReactor();
  app_.call(
      [reactor, response,
       audited = *std::move(audited)](const absl::StatusOr<Answer>& answer) mutable {
        audited.end(answer.status());
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
