#include "worker/run_worker.h"

#include <grpcpp/server.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/address.h"
#include "core/config_load.h"
#include "core/log.h"
#include "core/log_settings.h"
#include "core/metrics.h"
#include "core/port_file.h"
#include "core/proto_time.h"
#include "core/reloader.h"
#include "core/service_manager.h"
#include "core/signal_wait.h"
#include "gateway/metrics_server.h"
#include "rpc/access_control.h"
#include "rpc/call_metrics.h"
#include "rpc/certificate_metrics.h"
#include "rpc/credentials.h"
#include "rpc/grpc_log.h"
#include "rpc/link_security.h"
#include "worker/executable_file.h"
#include "worker/first_process.h"
#include "worker/job_readiness.h"
#include "worker/launcher_connection.h"
#include "worker/original_services.h"
#include "worker/scratch_paths.h"
#include "worker/worker_core.h"
#include "worker/worker_files.h"
#include "worker/worker_folders.h"
#include "worker/worker_joining.h"
#include "worker/worker_service.h"

namespace clusterd {
namespace {

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

// Null where none is wanted.
absl::StatusOr<std::unique_ptr<MetricsServer>> serve_metrics(const std::string& addr,
                                                             const WorkerCore& core,
                                                             const CallMetrics& calls,
                                                             const LinkSecurity& security) {
  if (addr.empty()) return nullptr;
  return MetricsServer::start(addr, [&core, &calls, &security] {
    MetricsPage page;
    add_build_metrics(page);
    core.metrics().add_to(page);
    calls.add_to(page);
    add_certificate_expiry(page, {{"grpc_server", security.not_after()}});
    add_process_metrics(page);
    return page.text();
  });
}

// "host:port+1" of the first address, where a go-work scheduler takes what its leader does not.
std::string next_port(const std::string& text) {
  auto address = parse_address(text);
  if (!address.ok()) return text;
  ++address->port;
  return format_address(*address);
}

absl::StatusOr<OriginalOptions> original_options(const WorkerConfig& config,
                                                 const LinkSecurity& security,
                                                 const Address& listening) {
  const WorkerConfig::Scheduler& scheduler = config.scheduler;
  bool name_is_ours = false;
  auto name = worker_name(config, security, name_is_ours);
  if (!name.ok()) return name.status();
  OriginalOptions options;
  options.protocol =
      scheduler.protocol == "go-work" ? v1::Worker::GO_WORK : v1::Worker::JOBSCHEDULER;
  options.addresses = scheduler.addr;
  options.task_addr =
      scheduler.task_addr.empty() ? next_port(scheduler.addr.front()) : scheduler.task_addr;
  options.credentials = [&security] {
    return security.channel_credentials({ExpectedPeer::Kind::kScheduler, ""});
  };
  options.name = *std::move(name);
  options.address = advertised_address(config.grpc_server, listening);
  options.task_script = config.compat.task_script;
  options.keep_ends = config.retention.max_age;
  return options;
}

// Says to the core whose member it is to be.
absl::Status use_scheduler(const WorkerConfig& config, const LinkSecurity& security,
                           const Address& listening, const std::string& data_dir,
                           WorkerCore& core) {
  if (config.scheduler.protocol != "clusterd") {
    auto options = original_options(config, security, listening);
    if (options.ok()) core.use_original(*std::move(options));
    return options.status();
  }
  auto session = make_session_options(config, security, data_dir);
  if (!session.ok()) return session.status();
  session->offer.set_address(advertised_address(config.grpc_server, listening));
  core.use_session(*std::move(session));
  return absl::OkStatus();
}

// What is done about the jobs at the end, by the signal or else the configuration. With the first
// process of a container they end too, so they are stopped in order where they would have been
// kept.
std::string on_stop_of(const WorkerConfig& config, int signal) {
  if (signal == SIGQUIT) return "drain";
  if (signal == SIGUSR1) return "stop";
  const bool ends_jobs = std::getenv(kFirstProcessVariable) != nullptr;
  return config.worker.on_stop == "keep" && ends_jobs ? "stop" : config.worker.on_stop;
}

// Waits until no attempt is held or `limit` has passed, and returns 0; or the signal that comes
// first.
int wait_until_idle(std::optional<std::chrono::nanoseconds> limit, const StopSignals& signals,
                    WorkerCore& core) {
  // Shared with the core, which may tell it when nobody waits any more.
  const auto told = std::make_shared<std::atomic<bool>>(false);
  // The news comes the way a signal does, so that one wait serves both.
  core.call_when_idle(limit, [told] {
    *told = true;
    kill(getpid(), SIGTERM);
  });
  int signal = SIGHUP;
  while (signal == SIGHUP || signal == SIGUSR2) signal = signals.wait();  // what is left is to end
  return *told ? 0 : signal;
}

// What `on_stop` says about the jobs, after the first signal. Another one ends the wait; SIGUSR1
// stops them then.
void settle_jobs(const std::string& on_stop, const WorkerConfig& config, const StopSignals& signals,
                 WorkerCore& core) {
  if (on_stop == "keep") return;
  core.deregister();  // OFFLINE: no new jobs come, as these end
  if (on_stop == "drain") {
    log_info("worker", "waiting for the jobs to end");
    std::optional<std::chrono::nanoseconds> limit = config.worker.drain_timeout;
    if (*limit == limit->zero()) limit.reset();
    const int signal = wait_until_idle(limit, signals, core);
    if (signal != 0 && signal != SIGUSR1) return;
  }
  log_info("worker", "stopping the jobs");
  core.stop_all_jobs();
  (void)wait_until_idle(config.jobs.stop_grace + kKilledWithin, signals, core);
}

// Commands on this machine have to do without it.
void note(const absl::Status& written) {
  if (!written.ok()) log_warning("worker", "cannot say that it serves", {{"error", written}});
}

// The lock of the data_dir: left by an earlier executable of this process, or taken.
absl::StatusOr<UniqueFd> take_lock(std::optional<Inherited>& inherited,
                                   const std::string& data_dir) {
  if (!inherited) return lock_data_dir(data_dir);
  UniqueFd lock = inherited->take_lock();
  if (is_lock_of(lock, data_dir)) return lock;
  lock.reset();  // the configuration names another folder now
  return lock_data_dir(data_dir);
}

// Waits for a signal to end, or to be replaced where that can be: then SIGUSR2. SIGHUP reloads.
int wait_for_signal(const StopSignals& signals, Reloader& reloader, const std::string& executable,
                    const std::string& data_dir, const WorkerStart& start) {
  while (true) {
    const int signal = signals.wait();
    if (signal == SIGHUP) {
      reloader.reload_now();
      continue;
    }
    if (signal != SIGUSR2) return signal;
    log_info("worker", "SIGUSR2: checking what is to replace this process",
             {{"executable", executable}});
    const absl::Status status = check_replacement(executable, start);
    if (status.ok()) return signal;
    log_error("worker", "goes on as it is", {{"error", status}});
    note(write_state(data_dir, std::string(status.message())));
  }
}

// The launcher's log follows the worker's.
Reloadable reloadable_log(const LogConfig& settings, const std::string& config_file,
                          WorkerCore& core) {
  return reloadable_log_level(
      "worker", settings,
      [config_file]() -> absl::StatusOr<LogConfig> {
        const auto config = load_worker_config(config_file);
        if (!config.ok()) return config.status();
        return config->log;
      },
      [&core](const LogConfig& now) { core.use_launcher_log(now); });
}

void tell(const JobReadiness& readiness) {
  for (const absl::Status& problem : readiness.problems) {
    log_warning("worker", "jobs will be refused", {{"error", std::string(problem.message())}});
  }
  for (const std::string& warning : readiness.warnings) log_warning("worker", warning);
}

}  // namespace

int run_worker(const WorkerConfig& config, const WorkerStart& start) {
  const StopSignals signals({SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2});
  std::optional<Inherited> inherited = take_worker_inheritance();
  const uint64_t limit_before = raise_open_files();
  const uint64_t open_files = inherited ? inherited->message().open_files_soft() : limit_before;
  if (auto status = use_log_settings(config.log); !status.ok()) return fail(status);
  auto address = parse_address(config.grpc_server.addr);
  if (!address.ok()) return fail(address.status());
  const auto jobs = prepare_folders(config.jobs);
  if (!jobs.ok()) return fail(jobs.status());
  if (config.is_original_file) {
    log_warning("worker",
                "the file is one of the original worker, which ran any path: scripts below the "
                "current folder can be run; name another with [jobs] scripts_dir",
                {{"scripts_dir", jobs->scripts_dir}});
  }
  // No reason not to start: jobs may be running that have to be looked after.
  tell(check_job_readiness(*jobs));
  const auto lock = take_lock(inherited, jobs->data_dir);
  if (!lock.ok()) return fail(lock.status());
  log_what_grpc_reports("worker");
  const auto security = LinkSecurity::make("worker", Role::kWorker, config.grpc_server);
  if (!security.ok()) return fail(security.status());
  const auto executable = own_executable();
  if (!executable.ok()) return fail(executable.status());

  const SystemClock clock;
  std::atomic<bool> replaced = false;
  WorkerCore core(*jobs, LimitsPolicy(config.limits, read_system_bounds()),
                  config.retention.max_age, clock);
  AccessControl access("worker", (*security)->authenticator());
  WorkerServiceImpl service(core, access);
  JobschedulerWorkerService jobscheduler_service(core, access);
  GoWorkWorkerService go_work_service(core, access);
  std::vector<grpc::Service*> services = {&service};
  if (config.compat.enabled) {
    services.insert(services.end(), {&jobscheduler_service, &go_work_service});
  }
  CallMetrics calls(
      {"clusterd.v1.WorkerService", "jobscheduler.Worker", "worker.v1.WorkerService"});
  auto server = serve_worker(config.grpc_server, **security, access, services, calls, *address);
  if (!server.ok()) return fail(server.status());
  (*security)->serve_at({format_address(*address)});
  const auto metrics = serve_metrics(config.metrics.addr, core, calls, **security);
  if (!metrics.ok()) return fail(metrics.status());
  if (const auto joined = use_scheduler(config, **security, *address, jobs->data_dir, core);
      !joined.ok()) {
    return fail(joined);
  }
  auto launcher = std::make_unique<LauncherConnection>(
      LauncherOptions{*executable, jobs->data_dir, jobs->runtime_dir, open_files,
                      config.limits.cgroups, passing_scratch(jobs->scratch_dir),
                      config.limits.cgroup_parent, config.log},
      clock, core.launcher_observer([&replaced] {
        replaced = true;
        kill(getpid(), SIGTERM);
      }),
      std::move(inherited).value_or(Inherited()));
  core.use_launcher(launcher.get());
  auto reloadables = (*security)->reloadables([&access] { access.end_revoked_streams(); });
  reloadables.push_back(reloadable_log(config.log, start.config_file, core));
  Reloader reloader(clock, std::move(reloadables));
  absl::Status status = launcher->start();
  std::vector<std::string> ports = {"grpc=" + format_address(*address)};
  if (*metrics != nullptr) ports.push_back("metrics=" + (*metrics)->address());
  if (status.ok()) status = write_port_file(start.port_file, ports);
  bool is_upgrade = false;
  if (status.ok()) {
    log_info("worker", "listening", {{"grpc", format_address(*address)}});
    ServiceWatchdog watchdog(clock, [&core](absl::AnyInvocable<void()> task) {
      core.with_original(
          [task = std::move(task)](OriginalMembership*) mutable { std::move(task)(); });
    });
    note(write_state(jobs->data_dir, ""));
    tell_service_manager("READY=1");
    const int signal = wait_for_signal(signals, reloader, *executable, jobs->data_dir, start);
    is_upgrade = signal == SIGUSR2;
    if (!is_upgrade) {
      tell_service_manager("STOPPING=1");
      watchdog.begin_stop();
      if (!replaced) settle_jobs(on_stop_of(config, signal), config, signals, core);
      core.deregister();
    }
  }
  core.close(/*for_good=*/!is_upgrade);
  (*server)->Shutdown(std::chrono::system_clock::now() + kCallsEndWithin);
  if (is_upgrade) status = replace_worker(*executable, start, *lock, *launcher);
  launcher.reset();
  log_info("worker", "stopped");
  if (!status.ok()) return fail(status);
  return replaced ? 1 : 0;
}

}  // namespace clusterd
