#include "cli/run_daemon.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/config_load.h"
#include "core/log.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;

absl::Status check_scripts_dir(const std::string& path) {
  const std::string name = "jobs.scripts_dir: \"" + path + "\"";
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return absl::NotFoundError(name + " does not exist");
  }
  if (status.type() != fs::file_type::directory) {
    return absl::FailedPreconditionError(name + " is not a folder");
  }
  if (access(path.c_str(), R_OK | X_OK) != 0) return absl::ErrnoToStatus(errno, name);
  return absl::OkStatus();
}

// The worker makes the folder itself, so the nearest one that exists has to be writable.
absl::Status check_data_dir(const std::string& path) {
  const std::string name = "jobs.data_dir: \"" + path + "\"";
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

}  // namespace

absl::StatusOr<SchedulerConfig> prepare(const SchedulerCommand& command) {
  auto config = load_scheduler_config(command.config_file);
  if (!config.ok()) return config;
  if (const absl::Status status = set_log_level(config->log.level); !status.ok()) return status;
  return config;
}

absl::StatusOr<WorkerConfig> prepare(const WorkerCommand& command) {
  auto config = load_worker_config(command.config_file);
  if (!config.ok()) return config;
  if (const absl::Status status = set_log_level(config->log.level); !status.ok()) return status;
  return config;
}

absl::Status check_folders(const WorkerConfig& config) {
  absl::Status status = check_scripts_dir(config.jobs.scripts_dir);
  status.Update(check_data_dir(config.jobs.data_dir));
  return status;
}

}  // namespace clusterd
