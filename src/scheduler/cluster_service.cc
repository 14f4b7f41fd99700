#include "scheduler/cluster_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/ids.h"
#include "core/proto_time.h"
#include "core/resources_check.h"
#include "rpc/digest.h"
#include "rpc/grpc_status.h"
#include "scheduler/call_back_address.h"
#include "scheduler/session_stream.h"
#include "scheduler/unary_call.h"

namespace clusterd {
namespace {

constexpr size_t kMaxNameBytes = 256;
constexpr size_t kUuidLength = 36;

absl::Status check(const v1::RegisterWorkerRequest& request) {
  if (request.name().empty() || request.name().size() > kMaxNameBytes) {
    return invalid_field("name", "must have 1 to 256 bytes");
  }
  if (!request.identity().worker_id().empty() &&
      request.identity().worker_id().size() != kUuidLength) {
    return invalid_field("identity.worker_id", "must be a UUID");
  }
  if (request.capacity().slots() == 0) {
    return invalid_field("capacity.slots", "must be at least 1");
  }
  for (const auto& [name, count] : request.capacity().custom()) {
    absl::Status status = check_resource_name(name);
    if (status.ok() && (count == 0 || count > kMostUnits)) {
      status = absl::InvalidArgumentError(
          absl::StrCat(name, " = ", count, ": allowed are 1 to ", kMostUnits));
    }
    if (!status.ok()) return invalid_field("capacity.custom", std::string(status.message()));
  }
  for (const std::string& taint : request.taints()) {
    const absl::Status status = check_taint(taint);
    if (!status.ok()) return invalid_field("taints", std::string(status.message()));
  }
  if (request.has_stop_grace() && from_proto(request.stop_grace()).count() < 0) {
    return invalid_field("stop_grace", "a negative duration is not allowed, 0 is the least");
  }
  return absl::OkStatus();
}

class RefusedSession final
    : public grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  explicit RefusedSession(const absl::Status& why) { Finish(to_grpc(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerUnaryReactor* ClusterServiceImpl::RegisterWorker(
    grpc::CallbackServerContext* context, const v1::RegisterWorkerRequest* request,
    v1::RegisterWorkerResponse* response) {
  auto audited = access_.admit_change(*context, "/clusterd.v1.ClusterService/RegisterWorker",
                                      {.worker_id = request->identity().worker_id()},
                                      AuditTrail::OnFailure::kContinue);
  if (!audited.ok()) return refuse(context, audited.status());
  const auto address = call_back_address(request->address(), context->peer());
  absl::Status status = address.ok() ? check(*request) : address.status();
  if (status.ok()) status = check_name(audited->caller(), request->name());
  if (!status.ok()) return refuse(context, *audited, status);
  auto* reactor = context->DefaultReactor();
  RegisterOrder order{.request = *request,
                      .presented_sha256 = sha256(request->secret()),
                      .fresh_worker_id = new_uuid_v4(),
                      .fresh_secret = new_secret()};
  order.request.set_address(*address);
  // A certificate is for one name: none like it will do.
  if (!audited->caller().is_anonymous()) order.request.set_name_is_configured(true);
  order.fresh_sha256 = sha256(order.fresh_secret);
  app_.call(
      [reactor, response, audited = *std::move(audited)](absl::StatusOr<Answer> answer) mutable {
        const absl::Status ended = answer.status();
        if (ended.ok()) *response = std::get<v1::RegisterWorkerResponse>(*std::move(answer));
        audited.end(ended, {.worker_id = response->worker_id()});
        reactor->Finish(to_grpc(ended));
      },
      [order = std::move(order)](Scheduler& scheduler, CallId call, Now now) {
        return scheduler.register_worker(call, order, now);
      });
  return reactor;
}

grpc::ServerUnaryReactor* ClusterServiceImpl::DeregisterWorker(
    grpc::CallbackServerContext* context, const v1::DeregisterWorkerRequest* request,
    v1::DeregisterWorkerResponse* response) {
  auto audited =
      access_.admit_change(*context, "/clusterd.v1.ClusterService/DeregisterWorker",
                           {.worker_id = request->worker_id()}, AuditTrail::OnFailure::kContinue);
  if (!audited.ok()) return refuse(context, audited.status());
  auto* reactor = context->DefaultReactor();
  Identity caller = audited->caller();
  app_.call(
      [reactor, response, audited = *std::move(audited)](absl::StatusOr<Answer> answer) mutable {
        const absl::Status ended = answer.status();
        if (ended.ok()) *response = std::get<v1::DeregisterWorkerResponse>(*std::move(answer));
        audited.end(ended);
        reactor->Finish(to_grpc(ended));
      },
      [request = *request, digest = sha256(request->secret()), caller = std::move(caller)](
          Scheduler& scheduler, CallId call, Now now) {
        const absl::Status status =
            check_name(caller, scheduler.name_of_worker(request.worker_id()));
        if (status.ok()) return scheduler.deregister_worker(call, request, digest, now);
        Decision refused;
        refused.effects.emplace_back(Reply{call, status});
        return refused;
      });
  return reactor;
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* ClusterServiceImpl::Session(
    grpc::CallbackServerContext* context) {
  auto caller = access_.admit(*context, "/clusterd.v1.ClusterService/Session");
  if (!caller.ok()) return new RefusedSession(caller.status());
  return new SessionStream(app_, access_, *context, *std::move(caller));
}

}  // namespace clusterd
