#include "worker/run_worker.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <utility>

#include "core/address.h"
#include "core/log.h"
#include "core/port_file.h"
#include "core/signal_wait.h"
#include "rpc/credentials.h"
#include "worker/launcher_connection.h"
#include "worker/machine.h"
#include "worker/script_folder.h"
#include "worker/worker_core.h"
#include "worker/worker_files.h"
#include "worker/worker_service.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;

constexpr int kUsage = 64;        // the configuration is at fault
constexpr int kCannotStart = 70;  // anything else, as on the command line
constexpr std::chrono::milliseconds kCallsEndWithin(300);
constexpr std::chrono::seconds kKilledWithin(5);

int fail(const absl::Status& status) {
  log_error("worker", "cannot start", {{"error", std::string(status.message())}});
  return absl::IsInvalidArgument(status) ? kUsage : kCannotStart;
}

// As many descriptors as may be: each running job needs some. Returns the limit before.
uint64_t raise_open_files() {
  rlimit limit{};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  return before;
}

// The configured folders, absolute and made.
absl::StatusOr<WorkerConfig::Jobs> prepare_folders(WorkerConfig::Jobs jobs) {
  for (std::string* folder : {&jobs.data_dir, &jobs.scripts_dir}) {
    std::error_code error;
    std::string path = fs::absolute(*folder, error).lexically_normal().native();
    if (error) return absl::InternalError("the current folder: " + error.message());
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (auto status = make_folder(path); !status.ok()) return status;
    *folder = std::move(path);
  }
  auto runtime_dir = choose_runtime_dir(jobs.runtime_dir, jobs.data_dir);
  if (!runtime_dir.ok()) return runtime_dir.status();
  jobs.runtime_dir = *std::move(runtime_dir);
  return jobs;
}

// gRPC server with the service, health and reflection; fills in the port where it was 0.
absl::StatusOr<std::unique_ptr<grpc::Server>> serve(const ListenerConfig& listener,
                                                    WorkerServiceImpl& service, Address& address) {
  auto credentials = server_credentials(listener);
  if (!credentials.ok()) return credentials.status();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  apply_server_limits(builder);
  int port = 0;
  const std::string host = address.host.empty() ? "::" : address.host;
  builder.AddListeningPort(format_address({host, address.port}), *credentials, &port);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError("cannot listen on " + listener.addr);
  }
  address.port = static_cast<uint16_t>(port);
  return server;
}

// Where the scheduler calls back: as configured, else where we listen; a wildcard leaves the host
// to the scheduler, which sees where the call came from.
std::string advertised(const WorkerConfig::GrpcServer& config, const Address& listening) {
  if (!config.advertise_addr.empty()) return config.advertise_addr;
  const bool wildcard =
      listening.host.empty() || listening.host == "0.0.0.0" || listening.host == "::";
  return format_address({wildcard ? "" : listening.host, listening.port});
}

absl::StatusOr<SessionOptions> session_options(const WorkerConfig& config,
                                               const std::string& data_dir) {
  SessionOptions options;
  options.addresses = config.scheduler.addr;
  options.data_dir = data_dir;
  const WorkerConfig::GrpcServer& server = config.grpc_server;
  TlsFiles files;
  if (server.use_tls) files = {server.crt_file, server.key_file, server.ca_file};
  auto credentials = channel_credentials(files);
  if (!credentials.ok()) return credentials.status();
  options.credentials = *std::move(credentials);
  auto kept = read_identity(data_dir);
  if (!kept.ok()) return kept.status();
  options.kept = *std::move(kept);
  v1::RegisterWorkerRequest& offer = options.offer;
  *offer.mutable_identity() = machine_identity();
  offer.mutable_identity()->set_worker_id(options.kept.worker_id());
  offer.set_name(config.worker.name.empty() ? host_name() : config.worker.name);
  offer.set_name_is_configured(!config.worker.name.empty());
  offer.mutable_labels()->insert(config.worker.labels.begin(), config.worker.labels.end());
  *offer.mutable_capacity() = machine_capacity(config.capacity);
  return options;
}

// What `on_stop` says about the jobs, after the first signal. A second one ends the wait.
void settle_jobs(const std::string& on_stop, const WorkerConfig::Jobs& jobs,
                 const StopSignals& signals, WorkerCore& core) {
  if (on_stop == "keep") return;
  log_info("worker", on_stop == "stop" ? "stopping the jobs" : "waiting for the jobs to end");
  core.deregister();  // OFFLINE: no new jobs come, as these end
  std::optional<std::chrono::nanoseconds> limit;
  if (on_stop == "stop") {
    core.stop_all_jobs();
    limit = jobs.stop_grace + kKilledWithin;
  }
  // The news comes the way a second signal does, so that one wait serves both.
  core.call_when_idle(limit, [] { kill(getpid(), SIGTERM); });
  (void)signals.wait();
}

}  // namespace

int run_worker(const WorkerConfig& config, const std::string& port_file) {
  const StopSignals signals;
  const uint64_t inherited_open_files = raise_open_files();
  if (auto status = set_log_level(config.log.level); !status.ok()) return fail(status);
  auto address = parse_address(config.grpc_server.addr);
  if (!address.ok()) return fail(address.status());
  const auto jobs = prepare_folders(config.jobs);
  if (!jobs.ok()) return fail(jobs.status());
  // No reason not to start: jobs may be running that have to be looked after.
  if (const auto status = ScriptFolder(jobs->scripts_dir).check(); !status.ok()) {
    log_warning("worker", "no job can be started", {{"error", std::string(status.message())}});
  }
  const auto lock = lock_data_dir(jobs->data_dir);
  if (!lock.ok()) return fail(lock.status());
  auto session = session_options(config, jobs->data_dir);
  if (!session.ok()) return fail(session.status());
  const auto executable = own_executable();
  if (!executable.ok()) return fail(executable.status());

  const SystemClock clock;
  std::atomic<bool> replaced = false;
  WorkerCore core(*jobs, config.retention.max_age, clock);
  WorkerServiceImpl service(core);
  auto server = serve(config.grpc_server, service, *address);
  if (!server.ok()) return fail(server.status());
  session->offer.set_address(advertised(config.grpc_server, *address));
  core.use_session(*std::move(session));
  auto launcher = std::make_unique<LauncherConnection>(
      LauncherOptions{*executable, jobs->data_dir, jobs->runtime_dir, inherited_open_files}, clock,
      core.launcher_observer([&replaced] {
        replaced = true;
        kill(getpid(), SIGTERM);
      }));
  core.use_launcher(launcher.get());
  absl::Status status = launcher->start();
  if (status.ok()) status = write_port_file(port_file, {"grpc=" + format_address(*address)});
  if (status.ok()) {
    log_info("worker", "listening", {{"grpc", format_address(*address)}});
    (void)signals.wait();
    if (!replaced) settle_jobs(config.worker.on_stop, *jobs, signals, core);
    core.deregister();
  }
  core.close();
  (*server)->Shutdown(std::chrono::system_clock::now() + kCallsEndWithin);
  launcher.reset();
  log_info("worker", "stopped");
  if (!status.ok()) return fail(status);
  return replaced ? 1 : 0;
}

}  // namespace clusterd
