#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"
#include "cli/print.h"
#include "cli/run_bench.h"
#include "cli/run_cluster.h"
#include "cli/run_daemon.h"
#include "cli/run_dev.h"
#include "cli/run_doctor.h"
#include "cli/run_job.h"
#include "cli/run_queue.h"
#include "cli/run_schedule.h"
#include "cli/run_store.h"
#include "cli/run_tls.h"
#include "cli/run_token.h"
#include "clusterd/version.h"
#include "scheduler/run_scheduler.h"
#include "worker/first_process.h"
#include "worker/launcher/run_launcher.h"
#include "worker/run_worker.h"

namespace clusterd {
namespace {

int run(const HelpCommand& command) { return print_text(command.text); }

int run(const VersionCommand&) {
  return print_text(std::string("clusterd ") + version() + " (" + build_description() + ")\n");
}

// Unwinding would lead through libraries that write to what they do not have then (protobuf 3.21's
// JSON): the end at once is the safe way out. What was accepted is durable, jobs run on.
[[noreturn]] void end_without_memory() {
  constexpr std::string_view kText = "clusterd: out of memory\n";
  (void)!write(STDERR_FILENO, kText.data(), kText.size());
  _exit(kExitOther);
}

// Before there are threads.
void prepare_memory() {
  std::set_new_handler(end_without_memory);
  // For glibc's allocator, where it is used: a thread that has needed much memory keeps it in its
  // arena, of which there may be eight for each processor. Pages of a thousand jobs, read by one
  // thread after the other, doubled a scheduler's size.
  const unsigned processors = std::thread::hardware_concurrency();
  (void)mallopt(M_ARENA_MAX, static_cast<int>(std::max(2U, processors / 2)));
}

// Debian builds Abseil with its search for deadlocks switched on: each lock that gRPC takes within
// another is then noted in one graph of all locks, under a lock of its own. Debug builds keep it.
void prepare_locks() {
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

int run(const SchedulerCommand& command) {
  prepare_memory();
  const auto config = prepare(command);
  if (!config.ok()) return report_error(config.status());
  if (!command.check) return run_scheduler(*config, {command.config_file, command.port_file});
  return print_text("OK\n");
}

int run(const WorkerCommand& command) {
  prepare_memory();
  const auto config = prepare(command);
  if (!config.ok()) return report_error(config.status());
  if (command.upgrade || command.drain || command.stop) return order_worker(command, *config);
  const WorkerStart start{command.config_file, command.port_file};
  if (!command.check && getpid() == 1) return run_first_process(*config, start);
  if (!command.check) return run_worker(*config, start);
  const auto to_be_made = check_folders(*config);
  if (!to_be_made.ok()) return report_error(to_be_made.status());
  for (const std::string& folder : *to_be_made) {
    std::fprintf(stderr, "clusterd: %s does not exist; the start makes it\n", folder.c_str());
  }
  return print_text("OK\n");
}

int run_command_line(const std::vector<std::string>& arguments) {
  prepare_locks();
  const auto command = parse_command_line(arguments);
  if (!command.ok()) return report_error(command.status());
  return std::visit([](const auto& chosen) { return run(chosen); }, *command);
}

}  // namespace
}  // namespace clusterd

int main(int argc, char** argv) {
  // Before anything else: the launcher lives without gRPC and without threads of a library.
  if (argc > 1 && std::string_view(argv[1]) == "launcher") {
    return clusterd::run_launcher(argc - 1, argv + 1);
  }
  return clusterd::run_command_line({argv + (argc > 0 ? 1 : 0), argv + argc});
}
