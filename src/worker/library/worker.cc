#include "clusterd/worker.h"

#include <grpcpp/server.h>

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "core/address.h"
#include "core/handler_check.h"
#include "core/log.h"
#include "core/log_settings.h"
#include "core/reloader.h"
#include "core/signal_wait.h"
#include "rpc/access_control.h"
#include "rpc/call_metrics.h"
#include "rpc/grpc_log.h"
#include "rpc/link_security.h"
#include "worker/library/handler_check.h"
#include "worker/library/handler_launcher.h"
#include "worker/machine.h"
#include "worker/worker_core.h"
#include "worker/worker_files.h"
#include "worker/worker_joining.h"
#include "worker/worker_service.h"

namespace clusterd {
namespace {

constexpr std::chrono::milliseconds kCallsEndWithin(300);

absl::StatusOr<WorkerConfig> config_of(const WorkerOptions& options) {
  const auto bad = [](const std::string& text) { return absl::InvalidArgumentError(text); };
  if (options.scheduler_addresses.empty()) {
    return bad("scheduler_addresses: is empty; one host:port is needed");
  }
  for (const std::string& text : options.scheduler_addresses) {
    const auto address = parse_address(text);
    if (!address.ok() || address->host.empty() || address->port == 0) {
      return bad("scheduler_addresses: \"" + text + "\" needs a host and a port from 1 to 65535");
    }
  }
  const auto listen = parse_address(options.listen_address);
  if (!listen.ok()) return bad("listen_address: " + std::string(listen.status().message()));
  const bool use_tls = !options.crt_file.empty();
  if (use_tls && (options.key_file.empty() || options.ca_file.empty())) {
    return bad("crt_file: key_file and ca_file are needed too");
  }
  if (!use_tls && !is_loopback(listen->host)) {
    return bad("listen_address: \"" + options.listen_address +
               "\" is not loopback: crt_file, key_file and ca_file are needed");
  }
  if (options.data_dir.empty()) return bad("data_dir: is empty");
  if (options.stop_grace.count() < 0) return bad("stop_grace: must not be negative");
  WorkerConfig config;
  config.grpc_server.addr = options.listen_address;
  config.grpc_server.advertise_addr = options.advertise_address;
  config.grpc_server.use_tls = use_tls;
  config.grpc_server.crt_file = options.crt_file;
  config.grpc_server.key_file = options.key_file;
  config.grpc_server.ca_file = options.ca_file;
  config.grpc_server.crl_file = options.crl_file;
  config.scheduler.addr = options.scheduler_addresses;
  config.worker.name = options.name;
  config.worker.labels = options.labels;
  config.capacity = {
      .slots = options.slots, .cpus = options.cpus, .memory_bytes = options.memory_bytes};
  std::error_code error;
  config.jobs.data_dir =
      std::filesystem::absolute(options.data_dir, error).lexically_normal().native();
  if (error) return absl::InternalError("the current folder: " + error.message());
  while (config.jobs.data_dir.size() > 1 && config.jobs.data_dir.back() == '/') {
    config.jobs.data_dir.pop_back();
  }
  config.jobs.scripts_dir = config.jobs.data_dir;  // nothing of it is ever run
  config.jobs.allowed_commands.clear();
  config.jobs.max_output_bytes = options.max_output_bytes;
  config.jobs.stop_grace = options.stop_grace;
  config.retention.max_age = options.max_age;
  config.log.level = options.log_level;
  return config;
}

}  // namespace

// All parts of a worker that has started, in the order in which they need each other.
class Worker::Core {
 public:
  explicit Core(WorkerOptions options) : options_(std::move(options)) {}

  void handle(std::string name, HandlerLauncher::Offer offer) {
    handlers_[std::move(name)] = std::move(offer);
  }
  absl::Status start();
  absl::Status run();
  void drain();
  void shutdown();
  [[nodiscard]] std::string address() const { return address_; }

 private:
  absl::Status join(const WorkerConfig& config);
  // Returns when no attempt is held, or `limit` has passed.
  void wait_until_idle(std::optional<std::chrono::nanoseconds> limit);

  WorkerOptions options_;
  std::map<std::string, HandlerLauncher::Offer> handlers_;
  const SystemClock clock_;
  std::string address_;
  UniqueFd lock_;
  std::unique_ptr<LinkSecurity> security_;
  std::unique_ptr<WorkerCore> core_;
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<WorkerServiceImpl> service_;
  std::unique_ptr<CallMetrics> calls_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<HandlerLauncher> launcher_;
  std::unique_ptr<Reloader> reloader_;  // of certificates
  bool started_ = false;
  bool has_session_ = false;  // core_ must be closed

  std::mutex closing_mutex_;  // held while it is being shut down
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;   // guarded by mutex_
  bool drained_ = false;  // guarded by mutex_
  int signals_ = 0;       // guarded by mutex_; that came in run()
};

absl::Status Worker::Core::start() {
  if (started_) return absl::FailedPreconditionError("this worker was started before");
  if (handlers_.empty()) return absl::FailedPreconditionError("handle(): no handler is offered");
  google::protobuf::RepeatedPtrField<v1::Handler> offered;
  for (const auto& [name, offer] : handlers_) {
    offered.Add()->set_name(name);
    offered.rbegin()->set_max_concurrent(offer.max_concurrent);
  }
  if (auto status = check_handlers(offered); !status.ok()) return status;
  auto config = config_of(options_);
  if (!config.ok()) return config.status();
  if (auto status = use_log_settings(config->log); !status.ok()) return status;
  if (auto status = make_folder(config->jobs.data_dir); !status.ok()) return status;
  auto lock = lock_data_dir(config->jobs.data_dir);
  if (!lock.ok()) return lock.status();
  lock_ = *std::move(lock);
  log_what_grpc_reports("worker");
  auto security = LinkSecurity::make("worker", Role::kWorker, config->grpc_server);
  if (!security.ok()) {
    lock_.reset();
    return security.status();
  }
  security_ = *std::move(security);
  const absl::Status joined = join(*config);
  started_ = joined.ok();
  if (!started_) {
    shutdown();  // for good: what was begun is ended
    lock_.reset();
  }
  return joined;
}

absl::Status Worker::Core::join(const WorkerConfig& config) {
  auto address = parse_address(config.grpc_server.addr);
  if (!address.ok()) return address.status();
  HandlerBounds bounds{.max_output_bytes = config.jobs.max_output_bytes,
                       .stop_grace = config.jobs.stop_grace};
  for (const auto& [name, offer] : handlers_) bounds.handlers.push_back(name);
  auto session = make_session_options(config, *security_, config.jobs.data_dir);
  if (!session.ok()) return session.status();
  for (const auto& [name, offer] : handlers_) {
    v1::Handler& handler = *session->offer.add_handlers();
    handler.set_name(name);
    handler.set_max_concurrent(offer.max_concurrent);
  }
  for (const std::string& taint : options_.taints) session->offer.add_taints(taint);
  const uint32_t slots = session->offer.capacity().slots();

  core_ =
      std::make_unique<WorkerCore>(config.jobs, LimitsPolicy(config.limits, read_system_bounds()),
                                   config.retention.max_age, clock_);
  core_->use_check([bounds = std::move(bounds)](const v1::StartAttempt& attempt) {
    return check_handler_start(bounds, attempt);
  });
  access_ = std::make_unique<AccessControl>("worker", security_->authenticator());
  service_ = std::make_unique<WorkerServiceImpl>(*core_, *access_);
  calls_ = std::make_unique<CallMetrics>(
      std::initializer_list<const char*>{"clusterd.v1.WorkerService"});
  auto server =
      serve_worker(config.grpc_server, *security_, *access_, {service_.get()}, *calls_, *address);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  address_ = format_address(*address);
  security_->serve_at({address_});
  session->offer.set_address(advertised_address(config.grpc_server, *address));
  const std::string boot_id = session->offer.identity().boot_id();
  core_->use_session(*std::move(session));
  has_session_ = true;
  launcher_ = std::make_unique<HandlerLauncher>(
      HandlerLauncher::Options{.data_dir = config.jobs.data_dir,
                               .boot_id = boot_id,
                               .handlers = handlers_,
                               .max_running = std::max(1U, slots),
                               .ends_stuck_process = options_.ends_stuck_process},
      clock_, core_->launcher_observer([] {}),
      [core = core_.get()](const v1::AttemptKey& key, v1::Progress progress) {
        core->report_progress(key, std::move(progress));
      });
  core_->use_launcher(launcher_.get());
  if (auto status = launcher_->start(); !status.ok()) return status;
  reloader_ = std::make_unique<Reloader>(
      clock_, security_->reloadables([access = access_.get()] { access->end_revoked_streams(); }));
  log_info("worker", "listening", {{"grpc", address_}, {"handlers", handlers_.size()}});
  return absl::OkStatus();
}

absl::Status Worker::Core::run() {
  const StopSignals signals;
  if (auto status = start(); !status.ok()) return status;
  bool over = false;  // guarded by mutex_
  std::thread listening([this, &signals, &over] {
    while (true) {
      (void)signals.wait();
      const std::lock_guard lock(mutex_);
      if (over) return;
      ++signals_;
      changed_.notify_all();
    }
  });
  std::thread draining;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || signals_ > 0; });
    if (!closed_) {
      log_info("worker", "waiting for the jobs to end");
      draining = std::thread([this] {
        drain();
        const std::lock_guard inner(mutex_);
        drained_ = true;
        changed_.notify_all();
      });
      changed_.wait(lock, [this] { return closed_ || drained_ || signals_ > 1; });
    }
  }
  shutdown();  // which ends the draining, too
  if (draining.joinable()) draining.join();
  {
    const std::lock_guard lock(mutex_);
    over = true;
  }
  pthread_kill(listening.native_handle(), SIGTERM);
  listening.join();
  return absl::OkStatus();
}

void Worker::Core::wait_until_idle(std::optional<std::chrono::nanoseconds> limit) {
  // Shared with the core, which may tell it when nobody waits any more.
  const auto idle = std::make_shared<std::promise<void>>();
  core_->call_when_idle(limit, [idle] { idle->set_value(); });
  idle->get_future().wait();
}

void Worker::Core::drain() {
  if (!started_) return;
  core_->deregister();  // OFFLINE: no new jobs come, as these end
  wait_until_idle(std::nullopt);
}

void Worker::Core::shutdown() {
  const std::lock_guard closing(closing_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
  }
  if (started_) {
    core_->deregister();
    core_->stop_all_jobs();
    wait_until_idle(std::nullopt);  // no thread can be ended from outside
    core_->deregister();
  }
  if (has_session_) core_->close(/*for_good=*/true);
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kCallsEndWithin);
  if (started_) log_info("worker", "stopped");
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

Worker::Worker(WorkerOptions options) : core_(std::make_unique<Core>(std::move(options))) {}
Worker::~Worker() { core_->shutdown(); }

void Worker::handle(std::string name, Handler handler, HandlerOptions options) {
  core_->handle(std::move(name), {std::move(handler), options.max_concurrent});
}

absl::Status Worker::start() { return core_->start(); }
absl::Status Worker::run() { return core_->run(); }
void Worker::drain() { core_->drain(); }
void Worker::shutdown() { core_->shutdown(); }
std::string Worker::address() const { return core_->address(); }

}  // namespace clusterd
