#include "scheduler/run_scheduler.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/address.h"
#include "core/clock.h"
#include "core/ip_network.h"
#include "core/log.h"
#include "core/port_file.h"
#include "core/reloader.h"
#include "core/service_manager.h"
#include "core/signal_wait.h"
#include "gateway/http_gateway.h"
#include "rpc/access_control.h"
#include "rpc/authenticator.h"
#include "rpc/caller_rules.h"
#include "rpc/credentials.h"
#include "rpc/grpc_log.h"
#include "rpc/link_security.h"
#include "rpc/original_channel.h"
#include "rpc/stated_caller.h"
#include "rpc/token_authenticator.h"
#include "rpc/token_store.h"
#include "scheduler/cluster_service.h"
#include "scheduler/go_work_services.h"
#include "scheduler/jobscheduler_service.h"
#include "scheduler/native_worker_link.h"
#include "scheduler/original_worker_link.h"
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

// Addresses and what is served at all of them.
struct Listening {
  std::string key;                     // of the configuration
  std::vector<std::string> addresses;  // become the real ones
  std::vector<grpc::Service*> services;
};

absl::StatusOr<std::unique_ptr<grpc::Server>> listen(
    const ListenerConfig& listener, const std::shared_ptr<grpc::ServerCredentials>& credentials,
    Listening& listening) {
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  if (listener.use_tls) apply_connection_age(builder, listener.max_connection_age);
  std::vector<int> ports(listening.addresses.size());
  for (size_t i = 0; i < ports.size(); ++i) {
    builder.AddListeningPort(listening.addresses[i], credentials, &ports[i]);
  }
  for (grpc::Service* service : listening.services) builder.RegisterService(service);
  auto server = builder.BuildAndStart();
  for (size_t i = 0; i < ports.size(); ++i) {
    std::string& address = listening.addresses[i];
    if (server == nullptr || ports[i] == 0) {
      // With several addresses gRPC does not say which one it was.
      return absl::UnavailableError(listening.key + " = \"" + address +
                                    "\": cannot listen there; is another program there, or the "
                                    "address of another key of this one?");
    }
    auto parsed = parse_address(address);
    if (!parsed.ok()) return parsed.status();
    parsed->port = static_cast<uint16_t>(ports[i]);
    address = format_address(*parsed);
  }
  return server;
}

// The two earlier systems' services, served beside ours and at addresses of their own.
struct OriginalServices {
  OriginalServices(SchedulerApp& app, AccessControl& access)
      : jobscheduler(app, access), members(app, access), tasks(app, access) {}

  [[nodiscard]] std::vector<grpc::Service*> all() { return {&jobscheduler, &members, &tasks}; }

  JobschedulerService jobscheduler;
  GoWorkLeaderService members;
  GoWorkSchedulerService tasks;
};

std::vector<std::string> port_lines(const std::string& grpc, const std::string& http,
                                    const std::vector<std::string>& compat) {
  std::vector<std::string> lines = {"grpc=" + grpc, "http=" + http};
  for (const std::string& address : compat) {
    lines.push_back("compat" + std::to_string(lines.size() - 1) + "=" + address);
  }
  return lines;
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

// As many descriptors as may be; strangers get what the rest of the scheduler does not need.
SchedulerConfig::HttpServer fit_open_files(SchedulerConfig::HttpServer http) {
  constexpr rlim_t kReserved = 512;
  rlimit limit{};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t usable = limit.rlim_max > 2 * kReserved ? limit.rlim_max - kReserved : kReserved;
  if (http.max_connections <= usable) return http;
  log_warning("scheduler", "fewer connections than configured: the open files do not suffice",
              {{"max_connections", usable}, {"open_files", limit.rlim_max}});
  http.max_connections = static_cast<uint32_t>(usable);
  return http;
}

// Null where no file is configured.
absl::StatusOr<std::unique_ptr<TokenStore>> open_tokens(const SchedulerConfig::HttpServer& http) {
  if (http.tokens_file.empty()) return std::unique_ptr<TokenStore>();
  return TokenStore::open(http.tokens_file);
}

CallerRules::Settings http_rules(const SchedulerConfig::HttpServer& http,
                                 const TokenStore* tokens) {
  CallerRules::Settings settings{.tokens = tokens,
                                 .same_user_only = http.local_callers == "same_user"};
  for (const std::string& text : http.trusted_proxies) {
    const auto network = IpNetwork::parse(text);  // the loader has checked them
    if (network.ok()) settings.trusted_proxies.push_back(*network);
  }
  return settings;
}

// Calls workers as [grpc_server] asks for; `security` outlives the links.
WorkerLinkMaker native_links(const LinkSecurity& security) {
  return [&security](const std::string& name, const std::string& address) {
    return std::make_shared<NativeWorkerLink>(WorkerChannels{
        .make =
            [&security, name, address] {
              return make_channel(
                  address, security.channel_credentials({ExpectedPeer::Kind::kWorker, name}));
            },
        .generation = [&security] { return security.generation(); }});
  };
}

// The same for workers of the two earlier systems.
OriginalLinkMaker original_links(const LinkSecurity& security) {
  return [&security](const v1::Worker& worker, OriginalWorkers& owner) {
    const auto credentials = security.channel_credentials({ExpectedPeer::Kind::kWorker, ""});
    return std::make_shared<OriginalWorkerLink>(
        worker, make_original_channel(worker.address(), credentials), owner);
  };
}

// Reads them again; `end_streams` ends those of callers whose token is no longer good.
Reloadable reloadable_tokens(TokenStore& tokens, std::function<void()> end_streams) {
  return {.files = {tokens.path()},
          .reload =
              [&tokens, end_streams] {
                const absl::Status status = tokens.reload();
                if (status.ok()) {
                  log_info("scheduler", "tokens read", {{"file", tokens.path()}});
                  end_streams();
                } else {
                  log_error("scheduler", "tokens are kept as they were: the file is faulty",
                            {{"error", status}});
                }
              },
          .look = [end_streams](WallTime) { end_streams(); }};  // tokens expire by themselves
}

// Who may call, over gRPC and over HTTP. Owned by run_scheduler; outlives the servers.
class Doors {
 public:
  // `security` and `clock` outlive this.
  Doors(const SchedulerConfig::HttpServer& http, std::unique_ptr<TokenStore> tokens,
        const LinkSecurity& security, const Clock& clock)
      : security_(security),
        tokens_(std::move(tokens)),
        http_callers_(http_rules(http, tokens_.get())),
        stated_callers_(http_callers_, clock),
        gateway_("scheduler", stated_callers_) {
    if (tokens_) token_callers_.emplace(*tokens_, security.authenticator(), clock);
    network_.emplace("scheduler", token_callers_
                                      ? static_cast<const Authenticator&>(*token_callers_)
                                      : security.authenticator());
  }

  [[nodiscard]] AccessControl& network() { return *network_; }
  [[nodiscard]] AccessControl& gateway() { return gateway_; }
  [[nodiscard]] const CallerRules& http_callers() const { return http_callers_; }
  // Who has a token needs no certificate.
  [[nodiscard]] std::shared_ptr<grpc::ServerCredentials> credentials() const {
    return security_.server_credentials(tokens_ == nullptr, *network_);
  }
  // What is read anew ends the streams of those who would not be let in now.
  [[nodiscard]] std::vector<Reloadable> reloadables() {
    auto items = security_.reloadables([this] { network_->end_revoked_streams(); });
    if (tokens_) {
      items.push_back(reloadable_tokens(*tokens_, [this] {
        network_->end_revoked_streams();
        gateway_.end_revoked_streams();
      }));
    }
    return items;
  }

 private:
  const LinkSecurity& security_;
  const std::unique_ptr<TokenStore> tokens_;  // null: there are none
  const CallerRules http_callers_;
  const StatedCallers stated_callers_;
  AccessControl gateway_;
  std::optional<TokenAuthenticator> token_callers_;
  std::optional<AccessControl> network_;
};

void shut_down(grpc::Server& server) {
  server.Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  server.Wait();
}

}  // namespace

int run_scheduler(const SchedulerConfig& config, const std::string& port_file) {
  const StopSignals stop_signals({SIGHUP});  // before any thread: all inherit the mask
  if (const auto status = set_log_level(config.log.level); !status.ok()) return fail(status);
  const SystemClock clock;

  auto store = SqliteStore::open(config.store.path, {.max_events = config.retention.max_events});
  if (!store.ok()) return fail(store.status());
  log_what_grpc_reports("scheduler");
  const auto security = LinkSecurity::make("scheduler", Role::kScheduler, config.grpc_server);
  if (!security.ok()) return fail(security.status());
  SchedulerApp app(config, clock, **store, native_links(**security), original_links(**security));

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto tokens = open_tokens(config.http_server);
  if (!tokens.ok()) return fail(tokens.status());
  Doors doors(config.http_server, *std::move(tokens), **security, clock);
  AccessControl& access = doors.network();
  SchedulerServiceImpl network_service(app, access, Transport::kNetwork);
  SchedulerServiceImpl gateway_service(app, doors.gateway(), Transport::kGateway);
  ClusterServiceImpl cluster_service(app, access);
  OriginalServices originals(app, access);
  Listening ours{
      "[grpc_server] addr", {config.grpc_server.addr}, {&network_service, &cluster_service}};
  if (config.compat.over_grpc) {
    for (grpc::Service* service : originals.all()) ours.services.push_back(service);
  }
  const auto credentials = doors.credentials();
  auto server = listen(config.grpc_server, credentials, ours);
  if (!server.ok()) return fail(server.status());
  app.set_address(ours.addresses[0]);
  // A service belongs to one server; these hold no state.
  OriginalServices originals_elsewhere(app, access);
  Listening theirs{"[compat] addrs", config.compat.addrs, originals_elsewhere.all()};
  absl::StatusOr<std::unique_ptr<grpc::Server>> compat_server = std::unique_ptr<grpc::Server>();
  if (!theirs.addresses.empty()) compat_server = listen(config.grpc_server, credentials, theirs);
  if (!compat_server.ok()) return fail(compat_server.status());
  const auto gateway_server = serve_in_process(gateway_service);

  const bool original_endpoints = config.compat.enabled;
  HttpGateway gateway(
      fit_open_files(config.http_server), in_process_channel(*gateway_server),
      [&app] { return app.readiness(); }, original_endpoints, doors.http_callers());
  if (const auto status = gateway.start(); !status.ok()) return fail(status);
  app.wait_for_first_load();  // who reads the port file may ask at once
  if (const auto status = write_port_file(
          port_file, port_lines(ours.addresses[0], gateway.address(), theirs.addresses));
      !status.ok()) {
    return fail(status);
  }
  log_info("scheduler", "listening", {{"grpc", ours.addresses[0]}, {"http", gateway.address()}});

  Reloader reloader(clock, doors.reloadables());
  ServiceWatchdog watchdog(clock, [&app](absl::AnyInvocable<void()> task) {
    app.with_term([task = std::move(task)](Term*) mutable { std::move(task)(); });
  });
  tell_service_manager("READY=1");
  int signal = stop_signals.wait();
  for (; signal == SIGHUP; signal = stop_signals.wait()) reloader.reload_now();
  log_info("scheduler", "stopping", {{"signal", signal}});
  tell_service_manager("STOPPING=1");
  watchdog.begin_stop();
  app.retire();
  gateway.stop();
  shut_down(*gateway_server);
  if (*compat_server != nullptr) shut_down(**compat_server);
  shut_down(**server);
  app.stop();
  return 0;
}

}  // namespace clusterd
