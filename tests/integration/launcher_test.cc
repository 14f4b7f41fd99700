// The launcher as a process of its own, with real /bin/sh.
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

TEST_CASE("a job's output, exit code and lengths are reported", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "echo one; echo two >&2; echo three; exit 7");

  const auto ended = fixture.wait_end("job");

  CHECK(ended.started());
  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 7);
  CHECK(ended.end().max_rss_bytes() > 0);
  CHECK(ended.end().output_tail() == "one\ntwo\nthree\n");
  REQUIRE(ended.end().outputs_size() == 1);
  CHECK(ended.end().outputs(0).total_bytes() == 14);
  CHECK(fixture.output("job") == "one\ntwo\nthree\n");
}

TEST_CASE("exit codes and signals are exact", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  const std::vector<int> codes = {0, 1, 2, 9, 37, 126, 127, 128, 137, 254, 255};
  const std::vector<int> signals = {SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGSEGV, SIGPIPE, SIGTERM};
  for (const int code : codes) {
    fixture.launch("code" + std::to_string(code), "exit " + std::to_string(code));
  }
  for (const int number : signals) {
    fixture.launch("signal" + std::to_string(number), "kill -" + std::to_string(number) + " $$");
  }

  for (const int code : codes) {
    const auto ended = fixture.wait_end("code" + std::to_string(code));
    CHECK(ended.end().reason() == JobEnd::EXITED);
    CHECK(ended.end().exit_code() == code);
    CHECK_FALSE(ended.end().has_signal());
  }
  for (const int number : signals) {
    const auto ended = fixture.wait_end("signal" + std::to_string(number));
    CHECK(ended.end().reason() == JobEnd::SIGNALED);
    CHECK(ended.end().signal() == number);
    CHECK_FALSE(ended.end().has_exit_code());
  }
}

TEST_CASE("each failure to start has a message of its own", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  const auto write_file = [&](const std::string& name, const std::string& text, mode_t mode) {
    const std::string path = fixture.folder() + "/" + name;
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {fixture.folder() + "/nothing", "no such file"},
      {write_file("plain", "#!/bin/sh\n", 0600), "may not be executed"},
      {write_file("garbage", "\x01\x02\x03 no program", 0700), "neither a program"},
      {write_file("orphan", "#!/no/such/interpreter -x\n", 0700),
       "its interpreter /no/such/interpreter does not exist"},
      {fixture.folder(), "it is a folder"},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    auto plan = fixture.plan("job" + std::to_string(i), "");
    plan.set_executable(cases[i].first);
    fixture.launch(plan);
  }
  auto lost = fixture.plan("cwd", "true");
  lost.set_working_folder("/no/such/folder");
  fixture.launch(lost);

  for (size_t i = 0; i < cases.size(); ++i) {
    const auto ended = fixture.wait_end("job" + std::to_string(i));
    CHECK(ended.end().reason() == JobEnd::START_FAILED);
    CHECK_FALSE(ended.started());
    CHECK_FALSE(ended.end().has_exit_code());
    CHECK_THAT(ended.end().message(), Catch::Contains(cases[i].second));
  }
  CHECK_THAT(fixture.wait_end("cwd").end().message(), Catch::Contains("working folder /no/such"));
}

TEST_CASE("writing to /dev/stdout and /dev/stderr anew loses nothing", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job",
                 "echo a; echo b > /dev/stderr; echo c | tee /dev/stdout; : > /dev/stdout; echo d");

  CHECK(fixture.wait_end("job").end().exit_code() == 0);

  CHECK(fixture.output("job") == "a\nb\nc\nc\nd\n");
}

TEST_CASE("a job has its three standard descriptors and no other", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  // The listing's own descriptor is the fourth.
  fixture.launch("job", "exec ls /proc/self/fd");

  CHECK(fixture.wait_end("job").end().exit_code() == 0);

  CHECK(fixture.output("job") == "0\n1\n2\n3\n");
}

TEST_CASE("standard input, environment and streams are as planned", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "cat; echo \"$NAME\" >&2; pwd");
  plan.set_stdin("given\n");
  plan.add_environment("NAME=value");
  plan.set_output_mode(v1::OutputSpec::SEPARATE);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 0);
  CHECK(fixture.output("job", v1::OutputStream::STDOUT) == "given\n" + fixture.folder() + "\n");
  CHECK(fixture.output("job", v1::OutputStream::STDERR) == "value\n");
  CHECK(ended.end().outputs_size() == 2);
}

TEST_CASE("a stop ends the whole tree, and leaves no process", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; wait");
  fixture.wait_output("job", "\n");
  fixture.wait_until([&] {
    const std::string text = fixture.output("job");
    return std::count(text.begin(), text.end(), '\n') == 2;
  });

  fixture.stop("job");
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::STOP_REQUESTED);
  std::istringstream pids(fixture.output("job"));
  for (pid_t pid = 0; pids >> pid;) CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("who ignores the stop signal is killed after the grace", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "trap '' TERM; echo ready; while :; do sleep 1000; done");
  *plan.mutable_stop_grace() = to_proto(200ms);
  fixture.launch(plan);
  fixture.wait_output("job", "ready");

  fixture.stop("job");
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::STOP_REQUESTED);
  CHECK(ended.end().signal() == SIGKILL);
  CHECK_THAT(ended.end().message(), Catch::Contains("killed"));
}

TEST_CASE("what a job leaves behind is ended with it", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "sleep 1000 > /dev/null 2>&1 & echo $!; exit 3");

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 3);
  CHECK(::kill(std::stoi(fixture.output("job")), 0) != 0);
}

TEST_CASE("a stop that comes first prevents the start", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.stop("job");
  CHECK(fixture.wait_end("job").end().reason() == JobEnd::CANCELLED_BEFORE_START);

  fixture.launch("job", "echo no");
  fixture.kill_launcher();

  const auto ended = fixture.wait_end("job");
  CHECK(ended.end().reason() == JobEnd::CANCELLED_BEFORE_START);
  CHECK_FALSE(ended.started());
  CHECK(fixture.output("job").empty());
}

TEST_CASE("a timeout ends a job, and stands still while it is suspended", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "echo $$; exec sleep 1000");
  *plan.mutable_timeout() = to_proto(300ms);
  fixture.launch(plan);
  fixture.launch("probe", "sleep 0.8");
  fixture.wait_start("job");
  fixture.signal("job", SIGSTOP);
  fixture.wait_until([&] { return fixture.is_suspended("job"); });
  fixture.wait_end("probe");
  CHECK_FALSE(fixture.has_ended("job"));

  fixture.signal("job", SIGCONT);

  CHECK(fixture.wait_end("job").end().reason() == JobEnd::RUN_TIMED_OUT);
}

TEST_CASE("a fenced attempt is killed and not reported", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "trap '' TERM; sleep 1000 & wait");
  const pid_t pid = fixture.wait_start("job").pid();
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));

  fixture.fence("job");
  pollfd ended_now{pidfd, POLLIN, 0};
  REQUIRE(::poll(&ended_now, 1, 30'000) == 1);
  fixture.launch("after", "true");
  fixture.wait_end("after");
  fixture.disconnect();
  fixture.connect();

  CHECK_FALSE(fixture.has_ended("job"));
  CHECK(fixture.hello().attempts_size() == 1);
  ::close(pidfd);
}

TEST_CASE("a job without contact to the scheduler fences itself", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "sleep 1000");
  *plan.mutable_fence_after() = to_proto(300ms);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::WORKER_LOST);
  CHECK_THAT(ended.end().message(), Catch::Contains("no contact"));
}

TEST_CASE("an order that comes when its fence is due starts nothing", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "echo ran");
  *plan.mutable_fence_after() = to_proto(1ms);
  std::this_thread::sleep_for(5ms);  // the last contact was the launcher's start
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().reason() == JobEnd::WORKER_LOST);
  CHECK_THAT(ended.end().message(), Catch::Contains("not started"));
  CHECK_FALSE(ended.started());
}

TEST_CASE("orders are idempotent, and an end stays until it is forgotten", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "echo once");
  fixture.launch("job", "echo once");
  fixture.wait_end("job");
  fixture.launch("job", "echo twice");
  fixture.disconnect();
  fixture.connect();
  CHECK(fixture.hello().attempts_size() == 1);
  CHECK(fixture.output("job") == "once\n");

  fixture.forget("job");
  fixture.launch("marker", "true");
  fixture.wait_end("marker");
  fixture.kill_launcher();

  CHECK(fixture.hello().attempts_size() == 1);
  CHECK(fixture.hello().attempts(0).key().job_id() == "marker");
}

TEST_CASE("bounded output keeps the last bytes at their offsets", "[launcher]") {
  LauncherFixture fixture;
  fixture.connect();
  auto plan = fixture.plan("job", "seq -f '%015.0f' 1 1000000");
  plan.set_max_output_bytes(1 << 20);
  fixture.launch(plan);

  const auto ended = fixture.wait_end("job");

  REQUIRE(ended.end().outputs_size() == 1);
  const v1::OutputStream& output = ended.end().outputs(0);
  CHECK(output.total_bytes() == 16'000'000);
  CHECK(output.first_kept() <= 15'000'000);
  CHECK(output.first_kept() > 13'000'000);
  struct stat info {};
  REQUIRE(::stat((fixture.data_dir() + "/output/job/1/merged.log").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < 4 << 20);
}

}  // namespace
}  // namespace clusterd
