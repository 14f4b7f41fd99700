#include "worker/first_process.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/log.h"
#include "worker/executable_file.h"
#include "worker/spawn_setup.h"
#include "worker/worker_folders.h"

namespace clusterd {
namespace {

constexpr int kUsage = 64;
constexpr int kCannotStart = 70;

int fail(const absl::Status& status) {
  log_error("worker", "cannot start", {{"error", std::string(status.message())}});
  return absl::IsInvalidArgument(status) ? kUsage : kCannotStart;
}

}  // namespace

int run_first_process(const WorkerConfig& config, const WorkerStart& start) {
  const auto jobs = prepare_folders(config.jobs);
  if (!jobs.ok()) return fail(jobs.status());
  const auto executable = own_executable();
  if (!executable.ok()) return fail(executable.status());
  log_info("worker", "process 1 is the launcher; jobs end with it",
           {{"on_stop", config.worker.on_stop == "keep" ? "stop" : config.worker.on_stop}});
  (void)::setenv(kFirstProcessVariable, "1", 1);
  std::vector<std::string> words = {*executable,          "launcher",        "--data-dir",
                                    jobs->data_dir,       "--runtime-dir",   jobs->runtime_dir,
                                    "--worker-config",    start.config_file, "--cgroups",
                                    config.limits.cgroups};
  if (!config.limits.cgroup_parent.empty()) {
    words.insert(words.end(), {"--cgroup-parent", config.limits.cgroup_parent});
  }
  if (!start.port_file.empty()) {
    words.insert(words.end(), {"--worker-port-file", start.port_file});
  }
  (void)::execv(executable->c_str(), SpawnSetup::pointers_to(words).data());
  return fail(absl::ErrnoToStatus(errno, *executable));
}

}  // namespace clusterd
