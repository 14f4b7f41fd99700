// How fast the launcher starts processes, beside a bare posix_spawn loop. Not run by default:
// launcher_test "[bench]".
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <thread>

#include "integration/launcher_fixture.h"

namespace clusterd {
namespace {

constexpr int kJobs = 2000;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Two threads, a pipe each process, as the launcher has.
double bare_rate() {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<int> left = kJobs;
  const auto work = [&left] {
    while (left-- > 0) {
      std::array<int, 2> pipe{};
      (void)!::pipe2(pipe.data(), O_CLOEXEC);
      std::array<char*, 2> argv = {const_cast<char*>("true"), nullptr};
      pid_t pid = 0;
      (void)::posix_spawn(&pid, "/bin/true", nullptr, nullptr, argv.data(), environ);
      (void)::waitpid(pid, nullptr, 0);
      ::close(pipe[0]);
      ::close(pipe[1]);
    }
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  return kJobs / seconds_since(start);
}

double launcher_rate(LauncherFixture& fixture, const std::string& name) {
  const auto start = std::chrono::steady_clock::now();
  internal::ToLauncher batch;
  for (int i = 0; i < kJobs; ++i) {
    auto plan = fixture.plan(name + std::to_string(i), "");
    plan.set_executable("/bin/true");
    plan.clear_argv();
    plan.add_argv("true");
    *batch.add_launch() = plan;
  }
  fixture.send(std::move(batch));
  for (int i = 0; i < kJobs; ++i) fixture.wait_end(name + std::to_string(i));
  const double rate = kJobs / seconds_since(start);
  internal::ToLauncher forget;
  for (int i = 0; i < kJobs; ++i) {
    *forget.add_forget() = LauncherFixture::key(name + std::to_string(i));
  }
  fixture.send(std::move(forget));
  return rate;
}

TEST_CASE("launches a second, beside a bare loop", "[.][bench]") {
  LauncherFixture fixture;
  fixture.connect();
  for (int round = 0; round < 3; ++round) {
    const double bare = bare_rate();
    const double ours = launcher_rate(fixture, "r" + std::to_string(round) + "-");
    std::printf("bare %.0f/s, launcher %.0f/s, ratio %.2f\n", bare, ours, ours / bare);
  }
  // More than one compaction has run by now, and the launcher still works.
  fixture.launch("after", "exit 4");
  CHECK(fixture.wait_end("after").end().exit_code() == 4);
}

}  // namespace
}  // namespace clusterd
