// The launcher as an executable of its own, for tests that kill it; `worker DATA RUNTIME` holds a
// connection to it until standard input ends or it is killed, for tests of a worker's death.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "worker/launcher/run_launcher.h"
#include "worker/launcher_connection.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "launcher") {
    return clusterd::run_launcher(argc - 1, argv + 1);
  }
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
