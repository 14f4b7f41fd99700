#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/address.h"
#include "core/config.h"
#include "rpc/access_control.h"
#include "rpc/call_metrics.h"
#include "rpc/link_security.h"
#include "worker/session_client.h"

namespace clusterd {

// What a worker needs to become a member: a server at which it is called back, a name, and what it
// presents.

// gRPC server with the services, health and reflection; fills in the port where it was 0.
// UNAVAILABLE: it cannot listen there.
[[nodiscard]] absl::StatusOr<std::unique_ptr<grpc::Server>> serve_worker(
    const ListenerConfig& listener, const LinkSecurity& security, const AccessControl& access,
    const std::vector<grpc::Service*>& services, CallMetrics& calls, Address& address);

// Where the scheduler calls back: as configured, else where we listen. For a wildcard the host is
// the ECS task's, in one, else left to the scheduler, which sees where the call came from.
[[nodiscard]] std::string advertised_address(const WorkerConfig::GrpcServer& config,
                                             const Address& listening);

// The configured name, else that in the certificate, else the host's. `is_ours` where it is for
// nobody else to choose.
[[nodiscard]] absl::StatusOr<std::string> worker_name(const WorkerConfig& config,
                                                      const LinkSecurity& security, bool& is_ours);

// All but the address. `security` outlives the session.
[[nodiscard]] absl::StatusOr<SessionOptions> make_session_options(const WorkerConfig& config,
                                                                  const LinkSecurity& security,
                                                                  const std::string& data_dir);

}  // namespace clusterd
