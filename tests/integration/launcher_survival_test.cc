// Jobs and their output while worker and launcher are killed.
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "integration/launcher_fixture.h"

namespace clusterd {
namespace {

using v1::JobEnd;

constexpr const char* kCount =
    "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo $i; sleep 0.002; done; exit 37";

constexpr const char* kPipeWasLost =
    "worker and launcher were killed: output that was still in its pipe then (up to 1 MiB) is gone";

std::string numbers(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST_CASE("the launcher is killed again and again: each line once, the code exact",
          "[launcher][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", kCount);
  fixture.wait_start("job");

  int kills = 0;
  for (const char* mark : {"\n100\n", "\n300\n", "\n500\n", "\n700\n", "\n900\n"}) {
    fixture.wait_output("job", mark);
    fixture.kill_launcher();
    ++kills;
  }
  const auto ended = fixture.wait_end("job");

  CHECK(kills == 5);
  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 37);
  CHECK(fixture.output("job") == numbers(1000));
}

TEST_CASE("a flood of output is whole while the launcher is killed", "[launcher][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "seq 1 3000000; exit 1");
  fixture.wait_start("job");
  for (int i = 0; i < 5; ++i) fixture.kill_launcher();

  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 1);
  CHECK_THAT(ended.end().output_tail(), Catch::EndsWith("2999999\n3000000\n"));
  const bool is_whole = fixture.output("job") == numbers(3'000'000);
  CHECK(is_whole);
}

TEST_CASE("workers come and go: each line once, the code exact", "[launcher][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", kCount);
  fixture.wait_start("job");

  for (const char* mark : {"\n100\n", "\n300\n", "\n500\n", "\n700\n", "\n900\n"}) {
    fixture.wait_output("job", mark);
    fixture.disconnect();
    fixture.connect();
  }
  const auto ended = fixture.wait_end("job");

  CHECK(ended.end().exit_code() == 37);
  CHECK(fixture.output("job") == numbers(1000));
}

TEST_CASE("a job that ends while no launcher runs keeps status and output",
          "[launcher][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", "echo before; while [ ! -e go ]; do sleep 0.005; done; echo after; exit 9");
  fixture.wait_output("job", "before");

  const pid_t launcher = fixture.launcher_pid();
  REQUIRE(::kill(launcher, SIGSTOP) == 0);
  std::ofstream(fixture.folder() + "/go") << "1";
  // Its main process is a zombie of the stopped launcher before that is killed.
  const pid_t pid = fixture.wait_start("job").pid();
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  pollfd ended_now{pidfd, POLLIN, 0};
  REQUIRE(::poll(&ended_now, 1, 30'000) == 1);
  fixture.kill_launcher();
  const auto ended = fixture.wait_end("job");
  ::close(pidfd);

  CHECK(ended.end().reason() == JobEnd::EXITED);
  CHECK(ended.end().exit_code() == 9);
  CHECK(ended.end().message().empty());
  CHECK(fixture.output("job") == "before\nafter\n");
}

TEST_CASE("a worker that did not start the launcher keeps jobs over the launcher's death",
          "[launcher][survival]") {
  LauncherFixture fixture;
  // Another process is the first worker; the launcher is its child, not ours.
  std::array<int, 2> input{};
  std::array<int, 2> output{};
  REQUIRE(::pipe2(input.data(), O_CLOEXEC) == 0);
  REQUIRE(::pipe2(output.data(), O_CLOEXEC) == 0);
  const pid_t worker = ::fork();
  if (worker == 0) {
    ::dup2(input[0], 0);
    ::dup2(output[1], 1);
    ::execl(CLUSTERD_TEST_LAUNCHER, CLUSTERD_TEST_LAUNCHER, "worker", fixture.data_dir().c_str(),
            fixture.runtime_dir().c_str(), nullptr);
    ::_exit(127);
  }
  char byte = 0;
  REQUIRE(::read(output[0], &byte, 1) == 1);
  REQUIRE(::kill(worker, SIGKILL) == 0);
  REQUIRE(::waitpid(worker, nullptr, 0) == worker);
  fixture.connect();
  fixture.launch("job", "i=0; while [ ! -e go ]; do sleep 0.005; done; echo done; exit 11");
  fixture.launch("other", "while [ ! -e go ]; do sleep 0.005; done; kill -9 $$");
  fixture.wait_start("job");
  fixture.wait_start("other");

  fixture.kill_launcher();
  fixture.kill_launcher();
  std::ofstream(fixture.folder() + "/go") << "1";

  CHECK(fixture.wait_end("job").end().exit_code() == 11);
  CHECK(fixture.wait_end("other").end().signal() == SIGKILL);
  CHECK(fixture.output("job") == "done\n");
  for (const int fd : {input[0], input[1], output[0], output[1]}) ::close(fd);
}

TEST_CASE("both are killed: running jobs go on, ended ones are unknown and have lost their pipe",
          "[launcher][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("long", "echo a; while [ ! -e go ]; do sleep 0.005; done; echo b; exit 5");
  fixture.launch("short", "while [ ! -e end ]; do sleep 0.005; done; echo lost; exit 6");
  fixture.wait_output("long", "a");
  const pid_t pid = fixture.wait_start("short").pid();

  fixture.disconnect();
  const pid_t launcher = fixture.launcher_pid();
  REQUIRE(::kill(launcher, SIGKILL) == 0);
  REQUIRE(::waitpid(launcher, nullptr, 0) == launcher);
  // This process is still the jobs' reaper: it stands for init here.
  std::ofstream(fixture.folder() + "/end") << "1";
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  fixture.connect();
  std::ofstream(fixture.folder() + "/go") << "1";

  CHECK(fixture.wait_end("short").end().reason() == JobEnd::EXIT_STATUS_UNKNOWN);
  CHECK_FALSE(fixture.wait_end("short").end().has_exit_code());
  CHECK(fixture.wait_end("short").end().message() ==
        "it ended while neither worker nor launcher ran; " + std::string(kPipeWasLost));
  CHECK(fixture.output("short").empty());
  CHECK(fixture.wait_end("long").end().exit_code() == 5);
  CHECK(fixture.wait_end("long").end().message().empty());
  CHECK(fixture.output("long") == "a\nb\n");
}

TEST_CASE("both are killed: a lost pipe is told where the exit code is known too",
          "[launcher][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("zombie", "while [ ! -e end ]; do sleep 0.005; done; echo lost; exit 6");
  fixture.launch(
      "silent",
      "echo a; exec >&- 2>&-; : > closed; while [ ! -e go ]; do sleep 0.005; done; exit 7");
  fixture.launch("observer", "while [ ! -e closed ]; do sleep 0.005; done; echo closed");
  fixture.wait_output("silent", "a");
  fixture.wait_output("observer", "closed");
  const pid_t pid = fixture.wait_start("zombie").pid();

  fixture.disconnect();
  const pid_t launcher = fixture.launcher_pid();
  REQUIRE(::kill(launcher, SIGKILL) == 0);
  REQUIRE(::waitpid(launcher, nullptr, 0) == launcher);
  std::ofstream(fixture.folder() + "/end") << "1";
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  fixture.connect();
  fixture.kill_launcher();  // the next one has it from the journal
  std::ofstream(fixture.folder() + "/go") << "1";

  CHECK(fixture.wait_end("zombie").end().exit_code() == 6);
  CHECK(fixture.wait_end("zombie").end().message() == kPipeWasLost);
  CHECK(fixture.wait_end("silent").end().exit_code() == 7);
  CHECK(fixture.wait_end("silent").end().message() == kPipeWasLost);
  CHECK(fixture.output("silent") == "a\n");
}

TEST_CASE("a newer worker fences the older", "[launcher][survival]") {
  LauncherFixture fixture;
  fixture.connect();
  LauncherObserver observer;
  observer.on_connected = [](internal::LauncherHello) {};
  observer.on_message = [](internal::FromLauncher) {};
  observer.on_disconnected = [](absl::Status) {};
  const SystemClock clock;

  LauncherConnection newer({CLUSTERD_TEST_LAUNCHER, fixture.data_dir(), fixture.runtime_dir()},
                           clock, std::move(observer));
  REQUIRE(newer.start().ok());

  fixture.wait_until([&] { return fixture.was_disconnected(); });
  CHECK(absl::IsFailedPrecondition(fixture.disconnection()));
}

}  // namespace
}  // namespace clusterd
