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
#include "core/audit_log.h"
#include "core/clock.h"
#include "core/config_load.h"
#include "core/ip_network.h"
#include "core/log.h"
#include "core/log_settings.h"
#include "core/port_file.h"
#include "core/reloader.h"
#include "core/service_manager.h"
#include "core/signal_wait.h"
#include "gateway/http_gateway.h"
#include "rpc/access_control.h"
#include "rpc/audit_trail.h"
#include "rpc/authenticator.h"
#include "rpc/call_metrics.h"
#include "rpc/caller_bounds.h"
#include "rpc/caller_rules.h"
#include "rpc/certificate_metrics.h"
#include "rpc/connection_guard.h"
#include "rpc/credentials.h"
#include "rpc/forwarded_caller.h"
#include "rpc/grpc_log.h"
#include "rpc/link_security.h"
#include "rpc/original_channel.h"
#include "rpc/stated_caller.h"
#include "rpc/token_authenticator.h"
#include "rpc/token_store.h"
#include "scheduler/cluster_door.h"
#include "scheduler/cluster_service.h"
#include "scheduler/go_work_services.h"
#include "scheduler/jobscheduler_service.h"
#include "scheduler/leader_link.h"
#include "scheduler/native_worker_link.h"
#include "scheduler/original_doors.h"
#include "scheduler/original_worker_link.h"
#include "scheduler/scheduler_app.h"
#include "scheduler/scheduler_door.h"
#include "scheduler/scheduler_service.h"
#include "scheduler/shared_store.h"

namespace clusterd {
namespace {

constexpr std::initializer_list<const char*> kCountedServices = {
    "clusterd.v1.SchedulerService", "clusterd.v1.ClusterService", "jobscheduler.Scheduler",
    "cluster.v1.LeaderService", "scheduler.v1.SchedulerService"};
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
    const SchedulerConfig::GrpcServer& listener,
    const std::shared_ptr<grpc::ServerCredentials>& credentials, CallMetrics& calls,
    Listening& listening) {
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  apply_stranger_limits(builder, listener);
  calls.watch(builder);
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
  OriginalServices(SchedulerApp& app, AccessControl& access, LeaderLink& leader, bool are_several)
      : jobscheduler(app, access),
        members(app, access),
        tasks(app, access),
        jobscheduler_door(leader, access, jobscheduler),
        members_door(leader, access, members),
        tasks_door(leader, access, tasks),
        has_doors(are_several) {}

  [[nodiscard]] std::vector<grpc::Service*> all() {
    if (has_doors) return {&jobscheduler_door, &members_door, &tasks_door};
    return {&jobscheduler, &members, &tasks};
  }
  // `services`, and these where they are served too.
  [[nodiscard]] std::vector<grpc::Service*> beside(std::vector<grpc::Service*> services,
                                                   bool are_served) {
    if (!are_served) return services;
    for (grpc::Service* service : all()) services.push_back(service);
    return services;
  }

  JobschedulerService jobscheduler;
  GoWorkLeaderService members;
  GoWorkSchedulerService tasks;
  JobschedulerDoor jobscheduler_door;
  GoWorkLeaderDoor members_door;
  GoWorkSchedulerDoor tasks_door;
  const bool has_doors;  // of several schedulers
};

std::vector<std::string> port_lines(const std::string& grpc, const std::string& http,
                                    const std::vector<std::string>& compat) {
  std::vector<std::string> lines = {"grpc=" + grpc, "http=" + http};
  for (const std::string& address : compat) {
    lines.push_back("compat" + std::to_string(lines.size() - 1) + "=" + address);
  }
  return lines;
}

std::vector<uint16_t> ports_of(std::vector<std::string> addresses,
                               const std::vector<std::string>& more) {
  addresses.insert(addresses.end(), more.begin(), more.end());
  std::vector<uint16_t> ports;
  for (const std::string& text : addresses) {
    const auto address = parse_address(text);
    if (address.ok()) ports.push_back(address->port);
  }
  return ports;
}

// Tells where everything listens; who waits for the file may ask at once.
absl::Status announce(const std::string& port_file, const Listening& ours, const std::string& http,
                      const Listening& theirs) {
  const absl::Status status =
      write_port_file(port_file, port_lines(ours.addresses[0], http, theirs.addresses));
  if (status.ok()) {
    log_info("scheduler", "listening", {{"grpc", ours.addresses[0]}, {"http", http}});
  }
  return status;
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

// Callers over HTTPS are of the cluster that those over gRPC are of, where nothing else is said.
SchedulerConfig::HttpServer with_cluster(SchedulerConfig::HttpServer http,
                                         const LinkSecurity& security) {
  if (http.cluster.empty()) http.cluster = security.cluster();
  return http;
}

// Null where no file is configured.
absl::StatusOr<std::unique_ptr<TokenStore>> open_tokens(const SchedulerConfig::HttpServer& http) {
  if (http.tokens_file.empty()) return std::unique_ptr<TokenStore>();
  return TokenStore::open(http.tokens_file);
}

// Null where no file is configured.
absl::StatusOr<std::unique_ptr<AuditLog>> open_audit(const SchedulerConfig::Audit& config) {
  if (config.file.empty()) return std::unique_ptr<AuditLog>();
  return AuditLog::open(config);
}

CallerRules::Settings http_rules(const SchedulerConfig::HttpServer& http,
                                 const TokenStore* tokens) {
  CallerRules::Settings settings{.tokens = tokens,
                                 .asks_certificates = http.use_tls && !http.ca_file.empty(),
                                 .same_user_only = http.local_callers == kSameUser};
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

// Calls the scheduler that leads, as a scheduler.
LeaderLink::Channels leader_channels(const LinkSecurity& security) {
  return {.make =
              [&security](const std::string& address) {
                return make_channel(
                    address, security.channel_credentials({ExpectedPeer::Kind::kScheduler, ""}));
              },
          .generation = [&security] { return security.generation(); }};
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
  // `security`, `audit` and `clock` outlive this. Of several schedulers each believes the others.
  Doors(const SchedulerConfig& config, std::unique_ptr<TokenStore> tokens,
        const LinkSecurity& security, AuditTrail& audit, const Clock& clock, bool are_several)
      : security_(security),
        tokens_(std::move(tokens)),
        http_callers_(http_rules(config.http_server, tokens_.get())),
        stated_callers_(http_callers_, clock),
        bounds_(config.grpc_server),
        gateway_("scheduler", stated_callers_, {.audit = &audit, .is_behind_gateway = true}) {
    if (tokens_) token_callers_.emplace(*tokens_, security.authenticator(), clock);
    const Authenticator& callers = token_callers_
                                       ? static_cast<const Authenticator&>(*token_callers_)
                                       : security.authenticator();
    forwarded_callers_.emplace(security.authenticator(), stated_callers_, callers);
    network_.emplace(
        "scheduler", are_several ? static_cast<const Authenticator&>(*forwarded_callers_) : callers,
        AccessControl::Setup{
            .audit = &audit, .bounds = &bounds_, .clock = &clock, .takes_passed_on = are_several});
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
  CallerBounds bounds_;
  AccessControl gateway_;
  std::optional<TokenAuthenticator> token_callers_;
  std::optional<ForwardedCallers> forwarded_callers_;
  std::optional<AccessControl> network_;
};

std::vector<Reloadable> all_of(std::vector<Reloadable> items, std::vector<Reloadable> more) {
  for (Reloadable& item : more) items.push_back(std::move(item));
  return items;
}

Reloadable reloadable_log(const LogConfig& settings, const std::string& config_file) {
  return reloadable_log_level(
      "scheduler", settings,
      [config_file]() -> absl::StatusOr<LogConfig> {
        const auto config = load_scheduler_config(config_file);
        if (!config.ok()) return config.status();
        return config->log;
      },
      nullptr);
}

void wait_for_stop(const StopSignals& signals, Reloader& reloader) {
  int signal = signals.wait();
  for (; signal == SIGHUP; signal = signals.wait()) reloader.reload_now();
  log_info("scheduler", "stopping", {{"signal", signal}});
}

void shut_down(grpc::Server& server) {
  server.Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  server.Wait();
}

}  // namespace

int run_scheduler(const SchedulerConfig& config, const SchedulerStart& start) {
  const StopSignals stop_signals({SIGHUP});  // before any thread: all inherit the mask
  if (const auto status = use_log_settings(config.log); !status.ok()) return fail(status);
  const SystemClock clock;

  const auto opened = open_store(config, clock);
  if (!opened.ok()) return fail(opened.status());
  Election* const election = opened->election.get();
  log_what_grpc_reports("scheduler");
  const auto security = LinkSecurity::make("scheduler", Role::kScheduler, config.grpc_server);
  if (!security.ok()) return fail(security.status());
  LeaderLink leader(leader_channels(**security));
  SchedulerApp app(config, clock, *opened->store, native_links(**security),
                   original_links(**security), election);

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto tokens = open_tokens(config.http_server);
  if (!tokens.ok()) return fail(tokens.status());
  auto audit_log = open_audit(config.audit);
  if (!audit_log.ok()) return fail(audit_log.status());
  AuditTrail audit(clock, *std::move(audit_log));
  Doors doors(config, *std::move(tokens), **security, audit, clock, election != nullptr);
  AccessControl& access = doors.network();
  SchedulerServiceImpl network_service(app, access, Transport::kNetwork);
  SchedulerServiceImpl gateway_service(app, doors.gateway(), Transport::kGateway);
  ClusterServiceImpl cluster_service(app, access);
  const Authenticator& peers = (*security)->authenticator();
  SchedulerDoor network_door({leader, peers, access, network_service, gateway_service},
                             Door::kGrpc);
  SchedulerDoor gateway_door({leader, peers, doors.gateway(), gateway_service, gateway_service},
                             Door::kHttp);
  ClusterDoor cluster_door(leader, access, cluster_service);
  std::vector<grpc::Service*> own_services = {&network_service, &cluster_service};
  if (election != nullptr) own_services = {&network_door, &cluster_door};
  OriginalServices originals(app, access, leader, election != nullptr);
  Listening ours{"[grpc_server] addr",
                 {config.grpc_server.addr},
                 originals.beside(std::move(own_services), config.compat.over_grpc)};
  const auto credentials = doors.credentials();
  CallMetrics calls(kCountedServices);
  auto server = listen(config.grpc_server, credentials, calls, ours);
  if (!server.ok()) return fail(server.status());
  // A service belongs to one server; these hold no state.
  OriginalServices originals_elsewhere(app, access, leader, election != nullptr);
  Listening theirs{"[compat] addrs", config.compat.addrs, originals_elsewhere.all()};
  absl::StatusOr<std::unique_ptr<grpc::Server>> compat_server = std::unique_ptr<grpc::Server>();
  if (!theirs.addresses.empty()) {
    compat_server = listen(config.grpc_server, credentials, calls, theirs);
  }
  if (!compat_server.ok()) return fail(compat_server.status());
  std::vector<std::string> addresses = theirs.addresses;
  addresses.push_back(ours.addresses[0]);
  (*security)->serve_at(addresses);
  const auto gateway_server =
      election != nullptr ? serve_in_process(gateway_door) : serve_in_process(gateway_service);

  const bool original_endpoints = config.compat.enabled;
  std::optional<HttpGateway> gateway;
  gateway.emplace(
      with_cluster(fit_open_files(config.http_server), **security),
      in_process_channel(*gateway_server), [&app] { return app.readiness(); }, original_endpoints,
      doors.http_callers(),
      [&](MetricsPage& page) {
        app.metrics().add_to(page, app.clock().now().boot);
        calls.add_to(page);
        add_certificate_expiry(page, {{"grpc_server", (*security)->not_after()},
                                      {"http_server", gateway->certificate_end()}});
      });
  if (const auto status = gateway->start(); !status.ok()) return fail(status);
  app.set_addresses(election != nullptr ? reachable_address(ours.addresses[0]) : ours.addresses[0],
                    reachable_address(gateway->address()));
  if (election != nullptr) {
    election->enter(app.self(), [&leader, &app](const Standing& standing) {
      leader.stand(standing);
      app.stand(standing);
    });
  }
  app.wait_for_first_load();  // who reads the port file may ask at once
  if (const auto status = announce(start.port_file, ours, gateway->address(), theirs);
      !status.ok()) {
    return fail(status);
  }

  const ConnectionGuard guard(clock, config.grpc_server,
                              ports_of(ours.addresses, theirs.addresses));
  auto reloadables = all_of(doors.reloadables(), gateway->reloadables());
  reloadables.push_back(reloadable_log(config.log, start.config_file));
  Reloader reloader(clock, std::move(reloadables));
  ServiceWatchdog watchdog(clock, [&app](absl::AnyInvocable<void()> task) {
    app.with_term([task = std::move(task)](Term*) mutable { std::move(task)(); });
  });
  tell_service_manager("READY=1");
  wait_for_stop(stop_signals, reloader);
  tell_service_manager("STOPPING=1");
  watchdog.begin_stop();
  app.retire();
  gateway->stop();
  shut_down(*gateway_server);
  if (*compat_server != nullptr) shut_down(**compat_server);
  shut_down(**server);
  app.stop();
  return 0;
}

}  // namespace clusterd
