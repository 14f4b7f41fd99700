// The launcher becomes another executable in place.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/proto_time.h"
#include "integration/launcher_fixture.h"
#include "worker/executable_file.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using v1::JobEnd;

std::string numbers(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

size_t count_descriptors(pid_t pid) {
  size_t count = 0;
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    (void)entry;
    ++count;
  }
  return count;
}

size_t count_zombies_of(pid_t parent) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    const auto stat = pid > 0 ? read_process_stat(pid) : std::nullopt;
    if (stat && stat->parent == parent && stat->state == 'Z') ++count;
  }
  return count;
}

TEST_CASE("jobs go on while the launcher is upgraded: each line once, the code exact",
          "[launcher][upgrade]") {
  LauncherFixture fixture;
  fixture.connect();
  const pid_t launcher = fixture.launcher_pid();
  fixture.launch("job",
                 "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo $i; sleep 0.002; done; exit 37");
  fixture.launch("gated", "while [ ! -e go ]; do sleep 0.005; done; kill -9 $$");
  fixture.wait_start("gated");

  for (const char* mark : {"\n100\n", "\n300\n", "\n500\n", "\n700\n", "\n900\n"}) {
    fixture.wait_output("job", mark);
    fixture.upgrade_launcher();
    CHECK(fixture.launcher_pid() == launcher);
  }
  std::ofstream(fixture.folder() + "/go") << "1";
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 37);
  CHECK(ended.end().max_rss_bytes() > 0);  // it is the launcher's own child still
  CHECK(fixture.output("job") == numbers(1000));
  CHECK(fixture.wait_end("gated").end().signal() == SIGKILL);
  CHECK(count_zombies_of(launcher) == 0);
}

TEST_CASE("a flood of output is whole while the launcher is upgraded", "[launcher][upgrade]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "seq 1 3000000; exit 1");
  fixture.wait_start("job");
  for (int i = 0; i < 5; ++i) fixture.upgrade_launcher();

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 1);
  const bool is_whole = fixture.output("job") == numbers(3'000'000);
  CHECK(is_whole);
}

TEST_CASE("upgrades leave no descriptor, no zombie, and nothing to the jobs",
          "[launcher][upgrade]") {
  LauncherFixture fixture;
  fixture.connect();
  const pid_t launcher = fixture.launcher_pid();
  const char* script =
      "ls /proc/self/fd | wc -l; ulimit -n; cat /proc/self/oom_score_adj; (setsid sleep 0.01 &) ";
  fixture.launch("before", script);
  fixture.wait_end("before");
  fixture.forget("before");
  fixture.upgrade_launcher();
  const auto count_settled = [&](const std::string& name) {
    fixture.stop(name);  // an end of nothing: the launcher is done with its greeting
    fixture.wait_end(name);
    fixture.forget(name);
    return count_descriptors(launcher);
  };
  const size_t descriptors = count_settled("nobody");

  for (int i = 0; i < 5; ++i) {
    const std::string name = "during" + std::to_string(i);
    fixture.launch(name, "(sleep 0.02 &); echo done");
    fixture.upgrade_launcher();
    fixture.wait_end(name);
    fixture.forget(name);
  }
  fixture.launch("after", script);
  fixture.wait_end("after");

  CHECK(fixture.output("after") == fixture.output("before"));
  fixture.forget("after");
  fixture.launch("last", "true");
  fixture.wait_end("last");
  fixture.forget("last");
  fixture.upgrade_launcher();  // all that was forgotten is closed by now
  CHECK(count_settled("nobody else") == descriptors);
  CHECK(count_zombies_of(launcher) == 0);
}

TEST_CASE("an executable that cannot take over is left alone", "[launcher][upgrade]") {
  LauncherFixture fixture;
  fixture.connect();
  const std::string id = fixture.hello().executable_id();
  const pid_t launcher = fixture.launcher_pid();
  fixture.launch("job", "while [ ! -e go ]; do sleep 0.005; done; exit 5");
  fixture.wait_start("job");
  const std::string bad = fixture.folder() + "/bad";
  std::ofstream(bad) << "#!/bin/sh\n: > " << fixture.folder() << "/tried\nexit 3\n";
  REQUIRE(::chmod(bad.c_str(), 0755) == 0);

  fixture.disconnect();
  fixture.connect(bad);
  fixture.launch("meanwhile", "exit 6");  // waits until it is decided
  CHECK(fixture.wait_end("meanwhile").end().exit_code() == 6);
  std::ofstream(fixture.folder() + "/go") << "1";

  CHECK(fixture.wait_end("job").end().exit_code() == 5);
  CHECK(std::filesystem::exists(fixture.folder() + "/tried"));
  CHECK(fixture.launcher_pid() == launcher);
  CHECK(executable_id("/proc/" + std::to_string(launcher) + "/exe") == id);
}

TEST_CASE("a stop whose grace has begun goes on over an upgrade", "[launcher][upgrade]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "trap '' TERM; echo ready; while :; do sleep 0.01; done");
  *plan.mutable_stop_grace() = to_proto(2s);
  fixture.launch(plan);
  fixture.wait_output("job", "ready");
  fixture.stop("job");
  fixture.launch("after", "true");  // the stop has arrived when this has
  fixture.wait_end("after");
  fixture.upgrade_launcher();

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::STOP_REQUESTED);
  CHECK(ended.end().signal() == SIGKILL);
  CHECK_THAT(ended.end().message(), Catch::StartsWith("killed: it had not ended 2 s after"));
}

}  // namespace
}  // namespace clusterd
