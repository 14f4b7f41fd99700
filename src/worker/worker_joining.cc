#include "worker/worker_joining.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "core/log.h"
#include "core/proto_time.h"
#include "core/worker_features.h"
#include "rpc/credentials.h"
#include "worker/ecs_metadata.h"
#include "worker/machine.h"
#include "worker/worker_files.h"

namespace clusterd {

absl::StatusOr<std::unique_ptr<grpc::Server>> serve_worker(
    const ListenerConfig& listener, const LinkSecurity& security, const AccessControl& access,
    const std::vector<grpc::Service*>& services, CallMetrics& calls, Address& address) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  calls.watch(builder);
  if (listener.use_tls) apply_connection_age(builder, listener.max_connection_age);
  int port = 0;
  const std::string host = address.host.empty() ? "::" : address.host;
  builder.AddListeningPort(format_address({host, address.port}),
                           security.server_credentials(/*demand_certificate=*/true, access), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        "[grpc_server] addr = \"" + listener.addr +
        "\": cannot listen there; is another program there, such as a "
        "scheduler with that as its [http_server] or [grpc_server] addr?");
  }
  address.port = static_cast<uint16_t>(port);
  return server;
}

std::string advertised_address(const WorkerConfig::GrpcServer& config, const Address& listening) {
  if (!config.advertise_addr.empty()) return config.advertise_addr;
  const bool wildcard =
      listening.host.empty() || listening.host == "0.0.0.0" || listening.host == "::";
  if (!wildcard) return format_address(listening);
  const auto host = ecs_task_address();
  if (host.ok()) return format_address({*host, listening.port});
  if (!absl::IsNotFound(host.status())) {
    log_warning("worker", "no address from the ECS task metadata; set advertise_addr",
                {{"error", host.status()}});
  }
  return format_address({"", listening.port});
}

absl::StatusOr<std::string> worker_name(const WorkerConfig& config, const LinkSecurity& security,
                                        bool& is_ours) {
  const std::string certified = security.own_name();
  const std::string& configured = config.worker.name;
  is_ours = !configured.empty() || !certified.empty();
  if (certified.empty()) return configured.empty() ? host_name() : configured;
  if (configured.empty() || configured == certified) return certified;
  return absl::InvalidArgumentError("worker.name: \"" + configured +
                                    "\" is not the name in its certificate, \"" + certified +
                                    "\"; leave it out, or issue another certificate");
}

absl::StatusOr<SessionOptions> make_session_options(const WorkerConfig& config,
                                                    const LinkSecurity& security,
                                                    const std::string& data_dir) {
  SessionOptions options;
  options.addresses = config.scheduler.addr;
  options.data_dir = data_dir;
  options.credentials = [&security] {
    return security.channel_credentials({ExpectedPeer::Kind::kScheduler, ""});
  };
  auto kept = read_identity(data_dir);
  if (!kept.ok()) return kept.status();
  options.kept = *std::move(kept);
  v1::RegisterWorkerRequest& offer = options.offer;
  *offer.mutable_identity() = machine_identity();
  if (config.jobs.allow_uploads) offer.mutable_identity()->add_features(kRunsUploads);
  offer.mutable_identity()->set_worker_id(options.kept.worker_id());
  bool name_is_ours = false;
  auto name = worker_name(config, security, name_is_ours);
  if (!name.ok()) return name.status();
  offer.set_name(*std::move(name));
  offer.set_name_is_configured(name_is_ours);
  offer.mutable_labels()->insert(config.worker.labels.begin(), config.worker.labels.end());
  *offer.mutable_capacity() = machine_capacity(config.capacity);
  offer.mutable_taints()->Add(config.worker.taints.begin(), config.worker.taints.end());
  *offer.mutable_stop_grace() = to_proto(config.jobs.stop_grace);
  return options;
}

}  // namespace clusterd
