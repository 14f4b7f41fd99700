#include "rpc/access_control.h"

#include <utility>
#include <vector>

#include "core/log.h"
#include "rpc/authorization.h"

namespace clusterd {

AccessControl::Stream::Stream(AccessControl& access, grpc::CallbackServerContext& context,
                              std::string_view method)
    : access_(access), id_([&] {
        const std::lock_guard lock(access.mutex_);
        const uint64_t id = ++access.last_stream_;
        access.streams_.emplace(id, Open{&context, method});
        return id;
      }()) {}

AccessControl::Stream::~Stream() {
  const std::lock_guard lock(access_.mutex_);
  access_.streams_.erase(id_);
}

AccessControl::AccessControl(std::string component, const Authenticator& authenticator)
    : component_(std::move(component)), authenticator_(authenticator) {}

absl::StatusOr<Identity> AccessControl::admit(const grpc::ServerContextBase& context,
                                              std::string_view method) const {
  const auto connection = context.auth_context();
  return admit({.connection = *connection, .metadata = context.client_metadata()}, context.peer(),
               method);
}

absl::StatusOr<Identity> AccessControl::admit(const Credentials& shown, const std::string& peer,
                                              std::string_view method) const {
  auto identity = authenticator_.authenticate(shown);
  absl::Status status = identity.status();
  if (status.ok()) status = authorize(method, *identity);
  if (status.ok()) return identity;
  log_warning(component_, "call refused",
              {{"peer", peer}, {"method", method}, {"reason", std::string(status.message())}});
  return status;
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
    if (!admit(*open.context, open.method).ok()) open.context->TryCancel();
  }
}

}  // namespace clusterd
