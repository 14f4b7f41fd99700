// The launcher as an executable of its own, for tests that kill it; `worker DATA RUNTIME` holds a
// connection to it until standard input ends or it is killed, for tests of a worker's death. `init
// DATA RUNTIME` is the process to which orphans of that worker fall: it reads orders, 'k' to kill
// the worker and 'r' to reap whatever has ended, and answers each with a byte.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "worker/launcher/run_launcher.h"
#include "worker/launcher_connection.h"

namespace {

int run_init(char** argv) {
  (void)::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t worker = ::fork();
  if (worker == 0) {
    ::execl(argv[0], argv[0], "worker", argv[2], argv[3], nullptr);
    ::_exit(127);
  }
  for (char order = 0; ::read(STDIN_FILENO, &order, 1) == 1;) {
    if (order == 'k') {
      (void)::kill(worker, SIGKILL);
      (void)::waitpid(worker, nullptr, 0);
    }
    while (order == 'r' && ::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    (void)!::write(STDOUT_FILENO, &order, 1);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "launcher") {
    return clusterd::run_launcher(argc - 1, argv + 1);
  }
  if (argc == 4 && std::string_view(argv[1]) == "init") return run_init(argv);
  if (argc < 4 || std::string_view(argv[1]) != "worker") return 64;
  const clusterd::SystemClock clock;
  clusterd::LauncherObserver observer;
  observer.on_connected = [](clusterd::internal::LauncherHello) {
    std::puts("connected");
    (void)std::fflush(stdout);
  };
  observer.on_message = [](clusterd::internal::FromLauncher) {};
  observer.on_disconnected = [](absl::Status) {};
  clusterd::LauncherConnection connection({argv[0], argv[2], argv[3]}, clock, std::move(observer));
  if (!connection.start().ok()) return 70;
  char byte = 0;
  return ::read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}
