#pragma once

#include <grpcpp/server_context.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rpc/audit_trail.h"
#include "rpc/authenticator.h"
#include "rpc/caller_bounds.h"

namespace clusterd {

// The doorkeeper of a server's handlers: who calls, and may it? It logs each refusal, and knows
// the streams that are open, so that those of a revoked credential can be ended.
//
// Owned by run_scheduler and run_worker; outlives the server. Any thread. One of the few classes
// with a mutex (see docs/architecture.md#threads): streams come and go on gRPC's threads.
class AccessControl {
 public:
  // An admitted stream's entry, held by its reactor; `context` is that stream's and outlives it.
  // `method` is a constant.
  class Stream {
   public:
    Stream(AccessControl& access, grpc::CallbackServerContext& context, std::string_view method);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

   private:
    AccessControl& access_;
    const std::string client_;  // IP address
    const uint64_t id_;
    const bool is_counted_;  // among those of its client
  };

  // What is asked beside who may call. All outlive the AccessControl.
  struct Setup {
    AuditTrail* audit = nullptr;     // of calls that change something; null: none
    CallerBounds* bounds = nullptr;  // what one client may ask; null: anything
    const Clock* clock = nullptr;    // not null with `bounds`
    bool is_behind_gateway = false;  // it is the metadata that say where a call comes from
    bool takes_passed_on = false;    // of other schedulers, which have looked at the bounds
  };

  // `component` is the daemon's name in the log; `authenticator` outlives this.
  AccessControl(std::string component, const Authenticator& authenticator);
  AccessControl(std::string component, const Authenticator& authenticator, const Setup& setup);
  AccessControl(const AccessControl&) = delete;
  AccessControl& operator=(const AccessControl&) = delete;

  // The caller, for the first line of each handler; `method` as in authorization.h.
  // UNAUTHENTICATED and PERMISSION_DENIED say why not, and have been logged; RESOURCE_EXHAUSTED:
  // the client asks too much.
  [[nodiscard]] absl::StatusOr<Identity> admit(const grpc::ServerContextBase& context,
                                               std::string_view method) const;
  // The same for a stream of a client's, of which it may have so many.
  [[nodiscard]] absl::StatusOr<Identity> admit_stream(const grpc::ServerContextBase& context,
                                                      std::string_view method) const;
  // The same where the call is no handler's of ours: health, reflection. `peer` is for the log.
  [[nodiscard]] absl::StatusOr<Identity> admit(const Credentials& shown, const std::string& peer,
                                               std::string_view method) const;

  // The same for a call that changes something, whose begin is in the audit when this returns; a
  // caller that is known and may not is there too. UNAVAILABLE: the audit cannot be written.
  [[nodiscard]] absl::StatusOr<AuditedCall> admit_change(
      const grpc::ServerContextBase& context, std::string_view method, const AuditSubject& subject,
      AuditTrail::OnFailure on_failure = AuditTrail::OnFailure::kRefuse) const;

  // Asks of every open stream whether its caller would be admitted now, and cancels those of whom
  // it would not. After certificates or tokens have been read anew.
  void end_revoked_streams();

 private:
  struct Open {
    grpc::CallbackServerContext* context;
    std::string_view method;
  };

  // Another scheduler passes it on; only where the caller is believed too.
  [[nodiscard]] bool is_passed_on(const grpc::ServerContextBase& context) const;
  // Whether the client may make one more call now.
  [[nodiscard]] absl::Status take_call(const grpc::ServerContextBase& context,
                                       std::string_view method) const;
  [[nodiscard]] absl::StatusOr<Identity> identify(const grpc::ServerContextBase& context) const;
  // Both: whether its client may make it, and who calls.
  [[nodiscard]] absl::Status take_from(const grpc::ServerContextBase& context,
                                       std::string_view method,
                                       absl::StatusOr<Identity>& identity) const;
  [[nodiscard]] AuditOrigin origin_of(const grpc::ServerContextBase& context) const;
  // Whether it may; a refusal has been logged.
  [[nodiscard]] absl::Status judge(const absl::StatusOr<Identity>& identity,
                                   const std::string& peer, std::string_view method) const;

  const std::string component_;
  const Authenticator& authenticator_;
  const Setup setup_;
  // Recursive: cancelling a call may run the end of its reactor on the same thread.
  std::recursive_mutex mutex_;
  std::map<uint64_t, Open> streams_;  // guarded by mutex_
  uint64_t last_stream_ = 0;          // guarded by mutex_
};

}  // namespace clusterd
