#include "scheduler/run_scheduler.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <utility>

#include "core/address.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/port_file.h"
#include "core/signal_wait.h"
#include "gateway/http_gateway.h"
#include "rpc/credentials.h"
#include "scheduler/cluster_service.h"
#include "scheduler/native_worker_link.h"
#include "scheduler/scheduler_app.h"
#include "scheduler/scheduler_service.h"
#include "store/sqlite_store.h"

namespace clusterd {
namespace {

constexpr int kCannotStart = 70;  // as the command line says: anything else
constexpr auto kShutdownGrace = std::chrono::milliseconds(500);

int fail(const absl::Status& status) {
  log_error("scheduler", "cannot start", {{"error", std::string(status.message())}});
  return kCannotStart;
}

// A server that listens on the configured address; `address` becomes the real one.
absl::StatusOr<std::unique_ptr<grpc::Server>> listen(const ListenerConfig& listener,
                                                     std::initializer_list<grpc::Service*> services,
                                                     std::string& address) {
  auto credentials = server_credentials(listener);
  if (!credentials.ok()) return credentials.status();
  auto parsed = parse_address(listener.addr);
  if (!parsed.ok()) return parsed.status();
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  int port = 0;
  builder.AddListeningPort(listener.addr, *credentials, &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  auto server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError("[grpc_server] addr = \"" + listener.addr +
                                  "\": cannot listen there (in use?)");
  }
  parsed->port = static_cast<uint16_t>(port);
  address = format_address(*parsed);
  return server;
}

// The server of the HTTP gateway: no port, one in-process channel.
std::unique_ptr<grpc::Server> serve_in_process(grpc::Service& service) {
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

std::shared_ptr<grpc::Channel> in_process_channel(grpc::Server& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  return server.InProcessChannel(arguments);
}

void shut_down(grpc::Server& server) {
  server.Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  server.Wait();
}

}  // namespace

int run_scheduler(const SchedulerConfig& config, const std::string& port_file) {
  const StopSignals stop_signals;  // before any thread: all inherit the mask
  if (const auto status = set_log_level(config.log.level); !status.ok()) return fail(status);
  const SystemClock clock;

  auto store = SqliteStore::open(config.store.path, {.max_events = config.retention.max_events});
  if (!store.ok()) return fail(store.status());
  const auto plaintext = channel_credentials(
      config.grpc_server.use_tls ? TlsFiles{config.grpc_server.crt_file,
                                            config.grpc_server.key_file, config.grpc_server.ca_file}
                                 : TlsFiles{});
  if (!plaintext.ok()) return fail(plaintext.status());
  SchedulerApp app(config, clock, **store, [credentials = *plaintext](const std::string& address) {
    return std::make_shared<NativeWorkerLink>(make_channel(address, credentials));
  });

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  SchedulerServiceImpl network_service(app, Transport::kNetwork);
  SchedulerServiceImpl gateway_service(app, Transport::kGateway);
  ClusterServiceImpl cluster_service(app);
  std::string grpc_address;
  auto server = listen(config.grpc_server, {&network_service, &cluster_service}, grpc_address);
  if (!server.ok()) return fail(server.status());
  const auto gateway_server = serve_in_process(gateway_service);

  const bool original_endpoints = config.compat.enabled;
  HttpGateway gateway(
      config.http_server, in_process_channel(*gateway_server), [&app] { return app.readiness(); },
      original_endpoints);
  if (const auto status = gateway.start(); !status.ok()) return fail(status);
  app.wait_for_first_load();  // who reads the port file may ask at once
  if (const auto status =
          write_port_file(port_file, {"grpc=" + grpc_address, "http=" + gateway.address()});
      !status.ok()) {
    return fail(status);
  }
  log_info("scheduler", "listening", {{"grpc", grpc_address}, {"http", gateway.address()}});

  const int signal = stop_signals.wait();
  log_info("scheduler", "stopping", {{"signal", signal}});
  app.retire();
  gateway.stop();
  shut_down(*gateway_server);
  shut_down(**server);
  app.stop();
  return 0;
}

}  // namespace clusterd
