#include "core/service_manager.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

namespace {

using clusterd::SystemClock;
using clusterd::tell_service_manager;
using clusterd::watchdog_interval;

// A service manager that listens, with the environment that it gives to its services.
class Manager {
 public:
  Manager() {
    std::string folder = (std::filesystem::temp_directory_path() / "notify-XXXXXX").native();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    folder_ = folder;
    const std::string path = folder_ + "/socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Manager() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
    ::close(socket_);
    std::filesystem::remove_all(folder_);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // The next word; empty: none within `milliseconds`.
  std::string hear(int milliseconds = 10'000) const {
    pollfd waited{socket_, POLLIN, 0};
    if (::poll(&waited, 1, milliseconds) <= 0) return "";
    std::array<char, 200> text{};
    const ssize_t size = ::recv(socket_, text.data(), text.size(), 0);
    return {text.data(), static_cast<size_t>(size)};
  }

 private:
  std::string folder_;
  int socket_ = -1;
};

}  // namespace

TEST_CASE("a service manager is told in one datagram", "[service_manager]") {
  const Manager manager;

  tell_service_manager("READY=1");

  CHECK(manager.hear() == "READY=1");
}

TEST_CASE("without a service manager nothing is told", "[service_manager]") {
  ::unsetenv("NOTIFY_SOCKET");
  tell_service_manager("READY=1");
  ::setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
  tell_service_manager("READY=1");
  ::unsetenv("NOTIFY_SOCKET");
}

TEST_CASE("the watchdog is this process's only", "[service_manager]") {
  const Manager manager;
  CHECK_FALSE(watchdog_interval());

  ::setenv("WATCHDOG_USEC", "60000", 1);
  CHECK(watchdog_interval() == std::chrono::milliseconds(60));
  ::setenv("WATCHDOG_PID", "1", 1);
  CHECK_FALSE(watchdog_interval());
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  CHECK(watchdog_interval());
  ::setenv("WATCHDOG_USEC", "often", 1);
  CHECK_FALSE(watchdog_interval());
}

TEST_CASE("a core thread that works is told of again and again, and one that hangs is not",
          "[service_manager]") {
  const Manager manager;
  ::setenv("WATCHDOG_USEC", "30000", 1);
  const SystemClock clock;
  std::atomic<bool> hangs = false;
  clusterd::ServiceWatchdog watchdog(clock, [&hangs](absl::AnyInvocable<void()> task) {
    if (!hangs) std::move(task)();
  });

  CHECK(manager.hear() == "WATCHDOG=1");
  CHECK(manager.hear() == "WATCHDOG=1");
  watchdog.begin_stop();
  std::string word = manager.hear();
  while (word == "WATCHDOG=1") word = manager.hear();  // those that were under way
  CHECK(word == "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000");

  hangs = true;
  while (!manager.hear(100).empty()) {
  }
  CHECK(manager.hear(100).empty());
}
