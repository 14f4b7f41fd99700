// What keeps jobs within their limits and finds all of their processes: cgroups of both versions
// where the machine has them, and what is left without.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <sstream>

#include "core/proto_time.h"
#include "integration/launcher_fixture.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using v1::JobEnd;

constexpr uint64_t kMiB = 1 << 20;
// More memory than any limit here, by the main process or by a child.
constexpr const char* kHog = "exec perl -e '$x = \"x\" x 400_000_000'";
constexpr const char* kHoggingChild = "perl -e '$x = \"x\" x 400_000_000'; ";

// False, and said so, where this machine cannot do what is tested.
bool is_possible(LauncherFixture& fixture, const std::string& limit) {
  if (fixture.enforces(limit)) return true;
  WARN("not tested: limits." << limit << " cannot be enforced with cgroups = \""
                             << fixture.cgroup_mode() << "\"");
  return false;
}

bool has_cgroups(const LauncherFixture& fixture) {
  if (!fixture.cgroups().empty()) return true;
  WARN("not tested: there are none with cgroups = \"" << fixture.cgroup_mode() << "\"");
  return false;
}

internal::LaunchPlan limited(LauncherFixture& fixture, const std::string& job_id,
                             const std::string& script, uint64_t memory_bytes) {
  internal::LaunchPlan plan = fixture.plan(job_id, script);
  plan.mutable_limits()->set_memory_bytes(memory_bytes);
  return plan;
}

// The numbers that a job has printed, once it has printed `count`.
std::vector<pid_t> printed(LauncherFixture& fixture, const std::string& job_id, size_t count) {
  std::vector<pid_t> numbers;
  fixture.wait_until([&] {
    numbers.clear();
    std::istringstream text(fixture.output(job_id));
    for (pid_t number = 0; text >> number;) numbers.push_back(number);
    return numbers.size() >= count;
  });
  return numbers;
}

bool is_alive(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  return !text.empty() && text.find(") Z ") == std::string::npos;
}

// The lines of cgroup.procs and tasks of all cgroups of the fixture.
size_t processes_in_cgroups(const LauncherFixture& fixture) {
  size_t count = 0;
  for (const std::string& folder : fixture.cgroups()) {
    std::ifstream file(folder + "/cgroup.procs");
    for (std::string line; std::getline(file, line);) ++count;
  }
  return count;
}

TEST_CASE("a job that takes more memory than it may ends OUT_OF_MEMORY", "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!is_possible(fixture, "memory_bytes")) return;
  fixture.launch(limited(fixture, "hog", kHog, 32 * kMiB));
  fixture.launch(limited(fixture, "modest", "tail -c 1000000 /dev/zero | wc -c", 32 * kMiB));

  const JobEnd hog = fixture.wait_end("hog").end();
  const JobEnd modest = fixture.wait_end("modest").end();

  CHECK(hog.reason() == JobEnd::OUT_OF_MEMORY);
  CHECK(hog.signal() == SIGKILL);
  CHECK_THAT(hog.message(), Catch::Contains("limits.memory_bytes of 33554432 (32MiB)"));
  CHECK_FALSE(hog.killed());
  CHECK(hog.peak_memory_bytes() > 30 * kMiB);
  CHECK(hog.peak_memory_bytes() <= 32 * kMiB);
  CHECK(modest.reason() == JobEnd::EXITED);
  CHECK(modest.exit_code() == 0);
  CHECK(modest.message().empty());
  CHECK(modest.peak_memory_bytes() > 0);
  CHECK(modest.peak_memory_bytes() < 30 * kMiB);
}

TEST_CASE("a child that was killed for memory counts where the job failed", "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!is_possible(fixture, "memory_bytes")) return;
  fixture.launch(limited(fixture, "failed", std::string(kHoggingChild) + "exit 3", 32 * kMiB));
  fixture.launch(limited(fixture, "mended", std::string(kHoggingChild) + "exit 0", 32 * kMiB));

  const JobEnd failed = fixture.wait_end("failed").end();
  const JobEnd mended = fixture.wait_end("mended").end();

  CHECK(failed.reason() == JobEnd::OUT_OF_MEMORY);
  CHECK(failed.exit_code() == 3);
  CHECK_THAT(failed.message(), Catch::Contains("the kernel killed 1 process of it"));
  CHECK(mended.reason() == JobEnd::EXITED);
  CHECK(mended.exit_code() == 0);
  CHECK_THAT(mended.message(), Catch::Contains("the kernel killed 1 process of it"));
}

TEST_CASE("a stop and a timeout keep their reasons where memory was short too",
          "[launcher][limits]") {
  LauncherFixture fixture;
  fixture.connect();
  if (!is_possible(fixture, "memory_bytes")) return;
  const std::string script = std::string(kHoggingChild) + "echo begun; exec sleep 1000";
  fixture.launch(limited(fixture, "job", script, 32 * kMiB));
  fixture.wait_output("job", "begun");

  fixture.stop("job");

  const JobEnd end = fixture.wait_end("job").end();
  CHECK(end.reason() == JobEnd::STOP_REQUESTED);
  CHECK_THAT(end.message(), Catch::Contains("the kernel killed 1 process of it"));
}

TEST_CASE("a fork bomb is contained, ended, and nothing of it is left", "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!is_possible(fixture, "pids")) return;
  auto plan = fixture.plan("bomb",
                           "exec perl -e '$SIG{TERM} = \"IGNORE\"; if (!fork) { fork while 1 } "
                           "select(undef, undef, undef, 0.5); exit 5'");
  plan.mutable_limits()->set_pids(64);
  *plan.mutable_stop_grace() = to_proto(300ms);
  fixture.launch(plan);

  const JobEnd end = fixture.wait_end("bomb").end();

  CHECK(end.reason() == JobEnd::EXITED);
  CHECK(end.killed());
  CHECK_THAT(end.message(), Catch::Contains("limits.pids of 64 was reached"));
  CHECK(processes_in_cgroups(fixture) == 0);
}

TEST_CASE("a daemon that forks twice into a session of its own ends with its job",
          "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!has_cgroups(fixture)) return;
  const auto daemon = [](const std::string& mark) {
    return "setsid sh -c 'setsid sh -c \"sleep 0.2; echo \\$\\$; touch " + mark +
           "; exec sleep 1000\" & exit' & while ! [ -e " + mark + " ]; do sleep 0.05; done; ";
  };
  fixture.launch("stopped", daemon("one") + "exec sleep 1000");
  fixture.launch("ended", daemon("two") + "exit 3");
  const pid_t first = printed(fixture, "stopped", 1).front();
  const pid_t second = printed(fixture, "ended", 1).front();
  CHECK(is_alive(first));

  fixture.stop("stopped");

  CHECK(fixture.wait_end("stopped").end().reason() == JobEnd::STOP_REQUESTED);
  CHECK_FALSE(is_alive(first));
  CHECK(fixture.wait_end("ended").end().exit_code() == 3);
  CHECK_FALSE(is_alive(second));
}

TEST_CASE("jobs that come after one that was killed start as ever", "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  for (int i = 0; i < 3; ++i) {
    const std::string number = std::to_string(i);
    auto plan = fixture.plan("deaf" + number, "trap '' TERM; echo 1; while :; do sleep 1000; done");
    *plan.mutable_stop_grace() = to_proto(50ms);
    fixture.launch(plan);
    printed(fixture, "deaf" + number, 1);
    fixture.stop("deaf" + number);
    CHECK(fixture.wait_end("deaf" + number).end().killed());
    for (const char* job_id : {"a", "b"}) {
      fixture.launch(job_id + number, "exit 7");
      CHECK(fixture.wait_end(job_id + number).end().exit_code() == 7);
    }
  }
}

TEST_CASE("KILL after the grace is told, and only then", "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1", "off"));
  fixture.connect();
  const auto launch = [&](const std::string& job_id, const std::string& script,
                          std::chrono::milliseconds grace = 300ms) {
    auto plan = fixture.plan(job_id, script);
    *plan.mutable_stop_grace() = to_proto(grace);
    fixture.launch(plan);
  };
  launch("deaf", "trap '' TERM; echo 1; while :; do sleep 1000; done");
  launch("obedient", "echo 1; exec sleep 1000", 30s);
  launch("parent", "(trap '' TERM; sleep 1000) > /dev/null 2>&1 & sleep 0.2; exit 4");
  for (const char* job_id : {"deaf", "obedient"}) {
    printed(fixture, job_id, 1);
    fixture.stop(job_id);
  }

  const JobEnd deaf = fixture.wait_end("deaf").end();
  const JobEnd obedient = fixture.wait_end("obedient").end();
  const JobEnd parent = fixture.wait_end("parent").end();

  CHECK(deaf.killed());
  CHECK(deaf.signal() == SIGKILL);
  CHECK_THAT(deaf.message(), Catch::Contains("had not ended 0.3 s after signal 15"));
  CHECK_FALSE(obedient.killed());
  CHECK(obedient.signal() == SIGTERM);
  CHECK(parent.killed());
  CHECK(parent.exit_code() == 4);
  CHECK_THAT(parent.message(), Catch::Contains("left behind was killed"));
}

TEST_CASE("what one job did is not counted against the next in its cgroup", "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!is_possible(fixture, "memory_bytes")) return;
  for (int i = 0; i < 5; ++i) {
    const std::string number = std::to_string(i);
    fixture.launch(limited(fixture, "hog" + number, kHog, 16 * kMiB));
    CHECK(fixture.wait_end("hog" + number).end().reason() == JobEnd::OUT_OF_MEMORY);
    fixture.launch(limited(fixture, "failing" + number, "exit 1", 64 * kMiB));
    const JobEnd failing = fixture.wait_end("failing" + number).end();
    CHECK(failing.reason() == JobEnd::EXITED);
    CHECK(failing.peak_memory_bytes() < 15 * kMiB);
    CHECK(from_proto(failing.user_time()) < 1s);
    fixture.launch("plain" + number, "perl -e '$x = \"x\" x 40_000_000'");
    CHECK(fixture.wait_end("plain" + number).end().message().empty());
  }
}

TEST_CASE("open files, core files and the nice value are as the plan says", "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "off"));
  fixture.connect();
  auto plan = fixture.plan("job", "ulimit -Sn; ulimit -Hn; ulimit -c; exec nice");
  plan.mutable_limits()->set_open_files(123);
  plan.mutable_limits()->set_core_bytes(512 * 7);
  plan.mutable_limits()->set_nice(7);
  fixture.launch(plan);

  CHECK(fixture.wait_end("job").end().exit_code() == 0);

  CHECK(fixture.output("job") == "123\n123\n7\n7\n");  // core files in blocks of 512 bytes
}

TEST_CASE("a limit of processors holds back, and time is that of the whole tree",
          "[launcher][limits]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!is_possible(fixture, "cpus")) return;
  const std::string busy = "while :; do :; done";
  auto slow = fixture.plan("slow", busy + " & " + busy + " & " + busy);
  slow.mutable_limits()->set_cpus(0.2);
  *slow.mutable_timeout() = to_proto(1s);
  *slow.mutable_stop_grace() = to_proto(0ms);
  fixture.launch(slow);
  const JobEnd end = fixture.wait_end("slow").end();

  const auto used = from_proto(end.user_time()) + from_proto(end.system_time());

  CHECK(end.reason() == JobEnd::RUN_TIMED_OUT);
  CHECK(used < 500ms);  // 1 s on a machine that is busy, up to 2 s on one that is not
  if (fixture.cgroups().front().find("unified") == std::string::npos) return;
  CHECK(used > 100ms);  // of its children, for which nobody has waited
}

TEST_CASE("limits hold, and all is found, after the launcher was killed",
          "[launcher][limits][survival]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!is_possible(fixture, "memory_bytes")) return;
  const std::string wait_for_it = "echo 1; while ! [ -e go ]; do sleep 0.05; done; ";
  fixture.launch(limited(fixture, "hog", wait_for_it + kHog, 32 * kMiB));
  const std::string daemon =
      "setsid sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 1000\" & exit' & wait; ";
  fixture.launch("daemon", daemon + wait_for_it + "exit 6");
  const std::vector<pid_t> pids = printed(fixture, "daemon", 2);
  printed(fixture, "hog", 1);

  fixture.kill_launcher();
  std::ofstream(fixture.folder() + "/go").flush();

  CHECK(fixture.wait_end("hog").end().reason() == JobEnd::OUT_OF_MEMORY);
  CHECK(fixture.wait_end("daemon").end().exit_code() == 6);
  for (const pid_t pid : pids) CHECK((pid == 1 || !is_alive(pid)));
}

TEST_CASE("limits, and the choice of cgroups, hold over an upgrade in place",
          "[launcher][limits][upgrade]") {
  LauncherFixture fixture(GENERATE("auto", "v1", "off"));
  fixture.connect();
  const bool is_enforced = fixture.enforces("memory_bytes");
  const std::string script =
      std::string("echo begun; while ! [ -e go ]; do sleep 0.05; done; ") + kHog;
  if (is_enforced) {
    fixture.launch(limited(fixture, "hog", script, 32 * kMiB));
    fixture.wait_output("hog", "begun");
  }

  fixture.upgrade_launcher();
  std::ofstream(fixture.folder() + "/go").flush();

  CHECK(fixture.enforces("memory_bytes") == is_enforced);
  if (is_enforced) CHECK(fixture.wait_end("hog").end().reason() == JobEnd::OUT_OF_MEMORY);
}

TEST_CASE("no cgroup is left by launchers that were killed, nor by one that goes",
          "[launcher][limits][survival]") {
  LauncherFixture fixture(GENERATE("auto", "v1"));
  fixture.connect();
  if (!has_cgroups(fixture)) return;
  const bool is_limited = fixture.enforces("memory_bytes");
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 60; ++j) {
      const std::string job_id = std::to_string(i) + "-" + std::to_string(j);
      auto plan = fixture.plan(job_id, "exit 0");
      if (is_limited && j % 2 == 0) plan.mutable_limits()->set_memory_bytes(64 * kMiB);
      fixture.launch(plan);
    }
    for (int j = 0; j < 60; ++j) {
      fixture.wait_end(std::to_string(i) + "-" + std::to_string(j));
    }
    fixture.kill_launcher();
  }
  fixture.launch("last", "exit 0");
  fixture.wait_end("last");
  CHECK_FALSE(fixture.cgroups().empty());

  fixture.leave();

  CHECK(fixture.cgroups().empty());
}

TEST_CASE("without cgroups a job that asks for one of their limits does not start",
          "[launcher][limits]") {
  LauncherFixture fixture("off");
  fixture.connect();
  CHECK_FALSE(fixture.enforces("memory_bytes"));
  CHECK_FALSE(fixture.enforces("cpus"));
  CHECK_FALSE(fixture.enforces("pids"));
  CHECK(fixture.enforces("open_files"));
  fixture.launch(limited(fixture, "job", "exit 0", 64 * kMiB));
  fixture.launch("free", "exit 0");

  const JobEnd end = fixture.wait_end("job").end();

  CHECK(end.reason() == JobEnd::START_FAILED);
  CHECK_THAT(end.message(), Catch::Contains("limits cannot be enforced"));
  CHECK(fixture.wait_end("free").end().exit_code() == 0);
  CHECK(fixture.cgroups().empty());
}

}  // namespace
}  // namespace clusterd
