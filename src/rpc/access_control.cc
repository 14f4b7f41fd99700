#include "rpc/access_control.h"

#include <utility>
#include <vector>

#include "core/log.h"
#include "rpc/authorization.h"
#include "rpc/forwarded_caller.h"
#include "rpc/peer.h"
#include "rpc/stated_caller.h"

namespace clusterd {

AccessControl::Stream::Stream(AccessControl& access, grpc::CallbackServerContext& context,
                              std::string_view method)
    : access_(access),
      client_(peer_host(context.peer())),
      id_([&] {
        const std::lock_guard lock(access.mutex_);
        const uint64_t id = ++access.last_stream_;
        access.streams_.emplace(id, Open{&context, method});
        return id;
      }()),
      is_counted_(access.setup_.bounds != nullptr && !access.is_passed_on(context) &&
                  access.setup_.bounds->begin_stream(client_, method)) {}

AccessControl::Stream::~Stream() {
  if (is_counted_) access_.setup_.bounds->end_stream(client_);
  const std::lock_guard lock(access_.mutex_);
  access_.streams_.erase(id_);
}

AccessControl::AccessControl(std::string component, const Authenticator& authenticator)
    : AccessControl(std::move(component), authenticator, Setup()) {}

AccessControl::AccessControl(std::string component, const Authenticator& authenticator,
                             const Setup& setup)
    : component_(std::move(component)), authenticator_(authenticator), setup_(setup) {}

bool AccessControl::is_passed_on(const grpc::ServerContextBase& context) const {
  return setup_.takes_passed_on && forwarded_door(context.client_metadata()) != Door::kNone;
}

absl::Status AccessControl::take_call(const grpc::ServerContextBase& context,
                                      std::string_view method) const {
  if (setup_.bounds == nullptr) return absl::OkStatus();
  return setup_.bounds->take_call(peer_host(context.peer()), method, setup_.clock->now().boot);
}

absl::StatusOr<Identity> AccessControl::identify(const grpc::ServerContextBase& context) const {
  const auto connection = context.auth_context();
  return authenticator_.authenticate(
      {.connection = *connection, .metadata = context.client_metadata(), .peer = context.peer()});
}

absl::Status AccessControl::take_from(const grpc::ServerContextBase& context,
                                      std::string_view method,
                                      absl::StatusOr<Identity>& identity) const {
  // The scheduler that has passed it on has counted it; whoever only says so is counted here.
  const bool says_so = is_passed_on(context);
  if (!says_so) {
    if (auto status = take_call(context, method); !status.ok()) return status;
  }
  identity = identify(context);
  return says_so && !identity.ok() ? take_call(context, method) : absl::OkStatus();
}

absl::StatusOr<Identity> AccessControl::admit(const grpc::ServerContextBase& context,
                                              std::string_view method) const {
  absl::StatusOr<Identity> identity;
  absl::Status status = take_from(context, method, identity);
  if (!status.ok()) return status;
  status = judge(identity, context.peer(), method);
  if (!status.ok()) return status;
  return identity;
}

absl::StatusOr<Identity> AccessControl::admit_stream(const grpc::ServerContextBase& context,
                                                     std::string_view method) const {
  auto identity = admit(context, method);
  if (!identity.ok() || setup_.bounds == nullptr || is_passed_on(context)) return identity;
  const absl::Status status = setup_.bounds->has_room(peer_host(context.peer()));
  if (!status.ok()) return status;
  return identity;
}

absl::StatusOr<Identity> AccessControl::admit(const Credentials& shown, const std::string& peer,
                                              std::string_view method) const {
  auto identity = authenticator_.authenticate(shown);
  const absl::Status status = judge(identity, peer, method);
  if (!status.ok()) return status;
  return identity;
}

absl::Status AccessControl::judge(const absl::StatusOr<Identity>& identity, const std::string& peer,
                                  std::string_view method) const {
  absl::Status status = identity.status();
  if (status.ok()) status = authorize(method, *identity);
  if (status.ok()) return status;
  log_warning(component_, "call refused",
              {{"peer", peer}, {"method", method}, {"reason", std::string(status.message())}});
  return status;
}

absl::StatusOr<AuditedCall> AccessControl::admit_change(const grpc::ServerContextBase& context,
                                                        std::string_view method,
                                                        const AuditSubject& subject,
                                                        AuditTrail::OnFailure on_failure) const {
  absl::StatusOr<Identity> identity;
  absl::Status status = take_from(context, method, identity);
  if (!status.ok()) return status;
  status = judge(identity, context.peer(), method);
  if (!identity.ok()) return status;
  if (setup_.audit == nullptr) {
    return status.ok() ? absl::StatusOr<AuditedCall>(*identity) : status;
  }
  auto call = setup_.audit->begin(origin_of(context), *identity, method, subject, on_failure);
  if (status.ok()) return call;
  if (call.ok()) call->end(status);
  return status;
}

AuditOrigin AccessControl::origin_of(const grpc::ServerContextBase& context) const {
  if (is_passed_on(context)) {
    return {.client = stated_address(context.client_metadata()),
            .peer = stated_peer(context.client_metadata()),
            .door = "grpc"};
  }
  if (!setup_.is_behind_gateway) {
    return {.client = peer_host(context.peer()), .peer = context.peer(), .door = "grpc"};
  }
  return {.client = stated_address(context.client_metadata()),
          .peer = stated_peer(context.client_metadata()),
          .door = "http"};
}

void AccessControl::end_revoked_streams() {
  std::vector<uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, open] : streams_) ids.push_back(id);
  }
  for (const uint64_t id : ids) {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    const Open& open = found->second;
    const auto caller = identify(*open.context);
    if (!judge(caller, open.context->peer(), open.method).ok()) open.context->TryCancel();
  }
}

}  // namespace clusterd
