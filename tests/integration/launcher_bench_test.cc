// How fast the launcher starts processes, beside a bare posix_spawn loop. A test of its own, since
// it is to be alone on its machine: launcher_test "[bench]".
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <thread>
#include <vector>

#include "integration/launcher_fixture.h"

namespace clusterd {
namespace {

constexpr int kJobs = 2000;
constexpr int kRounds = 5;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Two threads; each process has a pipe as its standard output, as with the launcher, which is read
// to its end.
void run_bare() {
  std::array<int, 2> pipe{};
  (void)!::pipe2(pipe.data(), O_CLOEXEC);
  posix_spawn_file_actions_t actions;
  (void)::posix_spawn_file_actions_init(&actions);
  (void)::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  std::array<char*, 2> argv = {const_cast<char*>("true"), nullptr};
  pid_t pid = 0;
  (void)::posix_spawn(&pid, "/bin/true", &actions, nullptr, argv.data(), environ);
  (void)::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  std::array<char, 4096> output;
  while (::read(pipe[0], output.data(), output.size()) > 0) {
  }
  (void)::waitpid(pid, nullptr, 0);
  ::close(pipe[0]);
}

double bare_rate() {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<int> left = kJobs;
  const auto work = [&left] {
    while (left-- > 0) run_bare();
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  return kJobs / seconds_since(start);
}

double launcher_rate(LauncherFixture& fixture, const std::string& name,
                     const v1::Limits& limits = {}) {
  internal::ToLauncher batch;
  for (int i = 0; i < kJobs; ++i) {
    auto plan = fixture.plan(name + std::to_string(i), "");
    plan.set_executable("/bin/true");
    plan.clear_argv();
    plan.add_argv("true");
    *plan.mutable_limits() = limits;
    *batch.add_launch() = plan;
  }
  const auto start = std::chrono::steady_clock::now();
  fixture.send_and_wait_ends(std::move(batch), kJobs);
  const double rate = kJobs / seconds_since(start);
  internal::ToLauncher forget;
  for (int i = 0; i < kJobs; ++i) {
    *forget.add_forget() = LauncherFixture::key(name + std::to_string(i));
  }
  fixture.send(std::move(forget));
  return rate;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Memory that this process, which is the worker here, holds and has touched.
class Ballast {
 public:
  explicit Ballast(size_t bytes) : bytes_(bytes, 'x') {}

 private:
  std::vector<char> bytes_;
};

TEST_CASE("launches a second keep up with a bare loop", "[.][bench]") {
  LauncherFixture fixture;
  fixture.connect();
  v1::Limits limits;
  if (fixture.enforces("memory_bytes")) limits.set_memory_bytes(64 << 20);
  if (fixture.enforces("pids")) limits.set_pids(100);
  std::vector<double> plain;
  std::vector<double> limited;
  std::vector<double> large;
  // Side by side in each round, since the machine has others' work to do too.
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = std::to_string(round);
    const double bare = bare_rate();
    plain.push_back(launcher_rate(fixture, "plain" + name + "-") / bare);
    limited.push_back(launcher_rate(fixture, "limited" + name + "-", limits) / bare);
    const Ballast ballast(500 << 20);
    large.push_back(launcher_rate(fixture, "large" + name + "-") / bare_rate());
    std::printf("bare %.0f/s; of it: launcher %.2f, with limits %.2f, worker of 500 MiB %.2f\n",
                bare, plain.back(), limited.back(), large.back());
  }

  CHECK(median(plain) >= 0.9);
  CHECK(median(limited) >= 0.65);
  CHECK(median(large) >= 0.9 * median(plain));
  // More than one compaction has run by now, and the launcher still works.
  fixture.launch("after", "exit 4");
  CHECK(fixture.wait_end("after").end().exit_code() == 4);
}

}  // namespace
}  // namespace clusterd
