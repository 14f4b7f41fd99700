#include "scheduler/cluster_door.h"

#include "rpc/forwarded_caller.h"
#include "scheduler/call_back_address.h"
#include "scheduler/forwarded_calls.h"
#include "scheduler/unary_call.h"

namespace clusterd {
namespace {

constexpr char kRegister[] = "/clusterd.v1.ClusterService/RegisterWorker";
constexpr char kDeregister[] = "/clusterd.v1.ClusterService/DeregisterWorker";
constexpr char kSession[] = "/clusterd.v1.ClusterService/Session";

class RefusedSession final
    : public grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  explicit RefusedSession(const absl::Status& why) { Finish(to_grpc(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

absl::StatusOr<Identity> ClusterDoor::admit(grpc::CallbackServerContext& context,
                                            const char* method, const LeaderLink::Route& route) {
  const bool was_passed_on = forwarded_door(context.client_metadata()) != Door::kNone;
  if (was_passed_on || route.channel == nullptr) return LeaderLink::nobody_leads();
  return access_.admit(context, method);
}

grpc::ServerUnaryReactor* ClusterDoor::RegisterWorker(grpc::CallbackServerContext* context,
                                                      const v1::RegisterWorkerRequest* request,
                                                      v1::RegisterWorkerResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.RegisterWorker(context, request, response);
  const auto caller = admit(*context, kRegister, route);
  if (!caller.ok()) return refuse(context, caller.status());
  // Here it is known where the call came from.
  const auto address = call_back_address(request->address(), context->peer());
  if (!address.ok()) return refuse(context, address.status());
  v1::RegisterWorkerRequest completed = *request;
  completed.set_address(*address);
  auto* call = new ForwardedUnary<v1::RegisterWorkerRequest, v1::RegisterWorkerResponse>(
      link_, route, *context);
  pass_on(*context, Door::kGrpc, *caller, call->context());
  call->start(kRegister, std::move(completed), response);
  return call;
}

grpc::ServerUnaryReactor* ClusterDoor::DeregisterWorker(grpc::CallbackServerContext* context,
                                                        const v1::DeregisterWorkerRequest* request,
                                                        v1::DeregisterWorkerResponse* response) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.DeregisterWorker(context, request, response);
  const auto caller = admit(*context, kDeregister, route);
  if (!caller.ok()) return refuse(context, caller.status());
  auto* call = new ForwardedUnary<v1::DeregisterWorkerRequest, v1::DeregisterWorkerResponse>(
      link_, route, *context);
  pass_on(*context, Door::kGrpc, *caller, call->context());
  call->start(kDeregister, request, response);
  return call;
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* ClusterDoor::Session(
    grpc::CallbackServerContext* context) {
  const LeaderLink::Route route = link_.route();
  if (route.is_here) return own_.Session(context);
  const auto caller = admit(*context, kSession, route);
  if (!caller.ok()) return new RefusedSession(caller.status());
  auto* call = new ForwardedSession<v1::SessionRequest, v1::SessionResponse>(link_, route, access_,
                                                                             *context, kSession);
  pass_on(*context, Door::kGrpc, *caller, call->context());
  call->start(kSession);
  return call;
}

}  // namespace clusterd
