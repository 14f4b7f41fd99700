#include "scheduler/cluster_service.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "core/address.h"
#include "core/field_error.h"
#include "core/ids.h"
#include "rpc/digest.h"
#include "rpc/grpc_status.h"
#include "rpc/peer.h"
#include "scheduler/session_stream.h"

namespace clusterd {
namespace {

constexpr size_t kMaxNameBytes = 256;
constexpr size_t kUuidLength = 36;

// Where to call the worker back: its own words, with the caller's address for a missing host.
absl::StatusOr<std::string> call_back_address(const std::string& advertised,
                                              const std::string& peer) {
  auto address = parse_address(advertised);
  if (!address.ok()) return invalid_field("address", address.status().message().data());
  if (address->port == 0) return invalid_field("address", "\"" + advertised + "\": port 0");
  if (address->host.empty()) address->host = peer_host(peer);
  if (address->host.empty()) {
    return invalid_field("address",
                         "\"" + advertised + "\" has no host, and the call came from " + peer);
  }
  return format_address(*address);
}

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
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* ClusterServiceImpl::RegisterWorker(
    grpc::CallbackServerContext* context, const v1::RegisterWorkerRequest* request,
    v1::RegisterWorkerResponse* response) {
  auto* reactor = context->DefaultReactor();
  const auto address = call_back_address(request->address(), context->peer());
  const absl::Status status = address.ok() ? check(*request) : address.status();
  if (!status.ok()) {
    reactor->Finish(to_grpc(status));
    return reactor;
  }
  RegisterOrder order{.request = *request,
                      .presented_sha256 = sha256(request->secret()),
                      .fresh_worker_id = new_uuid_v4(),
                      .fresh_secret = new_secret()};
  order.request.set_address(*address);
  order.fresh_sha256 = sha256(order.fresh_secret);
  app_.call(
      [reactor, response](absl::StatusOr<Answer> answer) {
        const absl::Status ended = answer.status();
        if (ended.ok()) *response = std::get<v1::RegisterWorkerResponse>(*std::move(answer));
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
  auto* reactor = context->DefaultReactor();
  app_.call(
      [reactor, response](absl::StatusOr<Answer> answer) {
        const absl::Status ended = answer.status();
        if (ended.ok()) *response = std::get<v1::DeregisterWorkerResponse>(*std::move(answer));
        reactor->Finish(to_grpc(ended));
      },
      [request = *request, digest = sha256(request->secret())](Scheduler& scheduler, CallId call,
                                                               Now now) {
        return scheduler.deregister_worker(call, request, digest, now);
      });
  return reactor;
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* ClusterServiceImpl::Session(
    grpc::CallbackServerContext* context) {
  (void)context;
  return new SessionStream(app_);
}

}  // namespace clusterd
