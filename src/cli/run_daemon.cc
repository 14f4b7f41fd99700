#include "cli/run_daemon.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>

#include "cli/exit_codes.h"
#include "core/config_load.h"
#include "core/log_settings.h"
#include "rpc/https_security.h"
#include "rpc/link_security.h"
#include "worker/job_user.h"
#include "worker/script_digests.h"
#include "worker/script_folder.h"
#include "worker/worker_control.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kReplacedWithin(60);
constexpr std::chrono::seconds kEndsWithin(60);  // after the jobs' grace

std::string named(const char* key, const std::string& path) {
  return std::string("jobs.") + key + ": \"" + path + "\"";
}

// The start makes a folder that is not there, so the nearest one that exists has to be writable.
absl::Status check_can_be_made(const std::string& name, const std::string& path) {
  std::error_code error;
  fs::path nearest = fs::absolute(path, error);
  if (error) return absl::InternalError(name + ": " + error.message());
  while (!fs::exists(nearest, error) && nearest.has_relative_path()) {
    nearest = nearest.parent_path();
  }
  if (!fs::is_directory(nearest, error)) {
    return absl::FailedPreconditionError(name + ": " + nearest.string() + " is not a folder");
  }
  if (access(nearest.c_str(), W_OK | X_OK) != 0) {
    return absl::ErrnoToStatus(errno, name + ": " + nearest.string());
  }
  return absl::OkStatus();
}

absl::Status check_scripts_dir(const std::string& name, const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return absl::FailedPreconditionError(name + " is not a folder");
  }
  if (access(path.c_str(), R_OK | X_OK) != 0) return absl::ErrnoToStatus(errno, name);
  return ScriptFolder(fs::absolute(path, error).native()).check();
}

// Users and digests; with a fault in them the worker starts, and refuses jobs.
absl::Status check_what_jobs_need(const WorkerConfig::Jobs& jobs) {
  for (const absl::Status& problem : JobUsers(jobs.run_as, jobs.allowed_users).problems()) {
    return problem;
  }
  if (jobs.digests.empty()) return absl::OkStatus();
  std::error_code error;
  return ScriptDigests(fs::absolute(jobs.digests, error).native(), jobs.scripts_dir).check();
}

}  // namespace

absl::StatusOr<SchedulerConfig> prepare(const SchedulerCommand& command) {
  auto config = load_scheduler_config(command.config_file);
  if (!config.ok()) return config;
  if (const absl::Status status = use_log_settings(config->log); !status.ok()) return status;
  if (command.check) {
    const auto security = LinkSecurity::make("scheduler", Role::kScheduler, config->grpc_server);
    if (!security.ok()) return security.status();
    if (config->http_server.use_tls) {
      const auto https = HttpsSecurity::make(config->http_server);
      if (!https.ok()) return https.status();
    }
  }
  return config;
}

absl::StatusOr<WorkerConfig> prepare(const WorkerCommand& command) {
  auto config = load_worker_config(command.config_file);
  if (!config.ok()) return config;
  if (const absl::Status status = use_log_settings(config->log); !status.ok()) return status;
  if (command.check) {
    const auto security = LinkSecurity::make("worker", Role::kWorker, config->grpc_server);
    if (!security.ok()) return security.status();
  }
  return config;
}

int order_worker(const WorkerCommand& command, const WorkerConfig& config) {
  std::error_code error;
  const std::string data_dir =
      fs::absolute(config.jobs.data_dir, error).lexically_normal().native();
  using std::chrono::milliseconds;
  std::optional<milliseconds> ends_within =
      std::chrono::ceil<milliseconds>(config.jobs.stop_grace) + kEndsWithin;
  const std::chrono::nanoseconds drains = config.worker.drain_timeout;
  if (command.drain && drains == drains.zero()) ends_within.reset();
  if (command.drain && ends_within) *ends_within += std::chrono::ceil<milliseconds>(drains);
  const WorkerEnd end = command.drain ? WorkerEnd::kDrain : WorkerEnd::kStopJobs;
  const absl::Status status = command.upgrade ? upgrade_worker(data_dir, kReplacedWithin)
                                              : end_worker(data_dir, end, ends_within);
  return status.ok() ? kExitOk : report_error(status);
}

absl::StatusOr<std::vector<std::string>> check_folders(const WorkerConfig& config) {
  const WorkerConfig::Jobs& jobs = config.jobs;
  const std::string scripts = named("scripts_dir", jobs.scripts_dir);
  const std::string data = named("data_dir", jobs.data_dir);
  std::error_code error;
  const bool has_scripts = fs::exists(jobs.scripts_dir, error);
  absl::Status status = has_scripts ? check_scripts_dir(scripts, jobs.scripts_dir)
                                    : check_can_be_made(scripts, jobs.scripts_dir);
  status.Update(check_can_be_made(data, jobs.data_dir));
  status.Update(check_what_jobs_need(jobs));
  if (!status.ok()) return status;
  std::vector<std::string> to_be_made;
  if (!has_scripts) to_be_made.push_back(scripts);
  if (!fs::exists(jobs.data_dir, error)) to_be_made.push_back(data);
  return to_be_made;
}

}  // namespace clusterd
