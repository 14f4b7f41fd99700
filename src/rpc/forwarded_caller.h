#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <map>
#include <string_view>

#include "rpc/authenticator.h"
#include "rpc/stated_caller.h"

namespace clusterd {

// The door at which a call came in that a scheduler passes on to the one that leads.
enum class Door { kNone, kGrpc, kHttp };

// Of a call with the metadata of pass_on(); kNone: it was not passed on.
[[nodiscard]] Door forwarded_door(
    const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

// Makes `onward` a call of whoever made `call`: the same deadline, its metadata and, at the door
// kGrpc, `caller`; at kHttp the gateway has stated the caller in the metadata.
void pass_on(const grpc::CallbackServerContext& call, Door door, const Identity& caller,
             grpc::ClientContext& onward);

// Whether the other end of a call that was passed on may say for whom it calls: a scheduler by its
// certificate, or anybody where nobody needs to show one, who may do everything anyhow.
// PERMISSION_DENIED, UNAUTHENTICATED: it may not.
[[nodiscard]] absl::Status check_forwarder(const Authenticator& link,
                                           const grpc::ServerContextBase& context);

// Believes schedulers that pass calls on about their callers, and asks `others` about all other
// calls. Any thread; owned by run_scheduler.
class ForwardedCallers final : public Authenticator {
 public:
  // `link` tells who is at the other end of a connection, `stated` what the metadata say. All
  // outlive this.
  ForwardedCallers(const Authenticator& link, const StatedCallers& stated,
                   const Authenticator& others)
      : link_(link), stated_(stated), others_(others) {}

  [[nodiscard]] absl::StatusOr<Identity> authenticate(const Credentials& shown) const override;

 private:
  const Authenticator& link_;
  const StatedCallers& stated_;
  const Authenticator& others_;
};

}  // namespace clusterd
