// Thousands of workers in one process, members of a real scheduler over real sessions, for what a
// scheduler takes as a cluster grows. They start no processes: what they are given ends with 0,
// at once or after --run-time. Prints "ready" when all are members, and a line of JSON at each
// SIGUSR1; SIGTERM ends it. scale.py beside this drives it.
#include <stdlib.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/synchronization/mutex.h"
#include "bench/callback_door.h"
#include "bench/simulated_fleet.h"
#include "core/log_settings.h"
#include "core/signal_wait.h"
#include "core/units.h"

namespace {

using namespace clusterd;         // NOLINT: a program of a few lines
using namespace clusterd::bench;  // NOLINT

constexpr uint32_t kMostSlots = 100'000;
constexpr uint64_t kOtherFiles = 100;  // open ones beside two for each member

int fail(const std::string& why) {
  std::fprintf(stderr, "simulated_workers: %s\n", why.c_str());
  return 1;
}

// Of memory: what SessionClient keeps of each member is never read again.
class DataFolder {
 public:
  DataFolder() : made_(mkdtemp(path_.data()) != nullptr) {}
  ~DataFolder() {
    std::error_code ignored;  // what cannot be removed is left to the system
    if (made_) std::filesystem::remove_all(path_, ignored);
  }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  [[nodiscard]] bool is_made() const { return made_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/dev/shm/simulated-workers-XXXXXX";
  const bool made_;
};

// Whether this process may have a connection each way for each of them.
bool raise_open_files(uint32_t workers) {
  rlimit limit{};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max >= 2ULL * workers + kOtherFiles;
}

int run(FleetOptions options) {
  const StopSignals signals({SIGUSR1});
  if (!raise_open_files(options.workers)) {
    return fail("--workers " + std::to_string(options.workers) +
                ": each needs two descriptors, and ulimit -Hn allows fewer");
  }
  if (!use_log_settings({.level = "error"}).ok()) return fail("cannot log");
  const DataFolder data;
  if (!data.is_made()) return fail("cannot make " + data.path());
  options.data_dir = data.path();
  auto listener = LoopbackListener::open();
  if (!listener.ok()) return fail(listener.status().ToString());
  options.address = [port = listener->port](uint32_t member) {
    return callback_address(member, port);
  };
  const SystemClock clock;
  SimulatedFleet fleet(std::move(options), clock);
  const CallbackDoor door(*std::move(listener), fleet);
  fleet.join();
  while (signals.wait() == SIGUSR1) fleet.print();
  fleet.leave();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Thousands of workers without processes, members of a real scheduler"};
  FleetOptions options;
  std::string run_time = "0";
  app.add_option("--scheduler", options.scheduler, "host:port of its gRPC server")->required();
  app.add_option("--workers", options.workers, "How many")
      ->check(CLI::Range(1U, kMostMembers))
      ->capture_default_str();
  app.add_option("--slots", options.slots, "Of each")
      ->check(CLI::Range(1U, kMostSlots))
      ->capture_default_str();
  app.add_option("--run-time", run_time, "How long each job runs: \"50ms\"; 0: it ends at once")
      ->capture_default_str();
  app.add_option("--name-prefix", options.name_prefix, "Of their names, before a number")
      ->default_val("simulated-");
  CLI11_PARSE(app, argc, argv);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as in clusterd
  const auto parsed = parse_duration(run_time);
  if (!parsed.ok()) return fail("--run-time: " + std::string(parsed.status().message()));
  options.run_time = *parsed;
  return run(std::move(options));
}
