// How a job's exit status is learnt on kernels with PIDFD_GET_INFO and on those before 6.15.
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "integration/launcher_fixture.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

using v1::JobEnd;

constexpr const char* kGated = "while [ ! -e go ]; do sleep 0.005; done; exit 11";

// Launchers that are started meanwhile take the kernel for one before 6.15.
class OlderKernel {
 public:
  OlderKernel() { (void)::setenv("CLUSTERD_KERNEL_WITHOUT", "pidfd_info", 1); }
  ~OlderKernel() { (void)::unsetenv("CLUSTERD_KERNEL_WITHOUT"); }
  OlderKernel(const OlderKernel&) = delete;
  OlderKernel& operator=(const OlderKernel&) = delete;
};

// The process to which orphans fall that are not ours, as they do to init; it reaps when it is
// told to. It has started a worker, and that the launcher of `fixture`.
class StandInInit {
 public:
  explicit StandInInit(const LauncherFixture& fixture) {
    std::array<int, 2> input{};
    std::array<int, 2> output{};
    REQUIRE(::pipe2(input.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(output.data(), O_CLOEXEC) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(input[0], STDIN_FILENO);
      ::dup2(output[1], STDOUT_FILENO);
      ::execl(CLUSTERD_TEST_LAUNCHER, CLUSTERD_TEST_LAUNCHER, "init", fixture.data_dir().c_str(),
              fixture.runtime_dir().c_str(), nullptr);
      ::_exit(127);
    }
    orders_.reset(input[1]);
    answers_.reset(output[0]);
    ::close(input[0]);
    ::close(output[1]);
    std::array<char, 10> connected{};  // the worker's line
    REQUIRE(::read(answers_.get(), connected.data(), connected.size()) == 10);
    order('k');
  }
  ~StandInInit() {
    orders_.reset();
    (void)::waitpid(pid_, nullptr, 0);
  }
  StandInInit(const StandInInit&) = delete;
  StandInInit& operator=(const StandInInit&) = delete;

  void reap() const { order('r'); }

 private:
  void order(char what) const {
    char answer = 0;
    REQUIRE(::write(orders_.get(), &what, 1) == 1);
    REQUIRE(::read(answers_.get(), &answer, 1) == 1);
  }

  pid_t pid_ = -1;
  UniqueFd orders_;
  UniqueFd answers_;
};

void open_gate(const LauncherFixture& fixture) { std::ofstream(fixture.folder() + "/go") << "1"; }

// Starts "job", kills the launcher that started it, so that the job is the stand-in's, and lets it
// end while the next launcher does not look. Returns that launcher.
pid_t end_unseen(LauncherFixture& fixture) {
  fixture.connect();
  fixture.launch("job", kGated);
  const pid_t pid = fixture.wait_start("job").pid();
  fixture.kill_launcher();
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  REQUIRE(pidfd.valid());
  const pid_t launcher = fixture.launcher_pid();
  REQUIRE(::kill(launcher, SIGSTOP) == 0);
  open_gate(fixture);
  pollfd ended{pidfd.get(), POLLIN, 0};
  REQUIRE(::poll(&ended, 1, 30'000) == 1);
  return launcher;
}

TEST_CASE("older kernel: the worker that started the launcher sees every status",
          "[launcher][kernel]") {
  const OlderKernel older;
  LauncherFixture fixture;
  fixture.connect();
  fixture.launch("job", kGated);
  fixture.launch("killed", "while [ ! -e go ]; do sleep 0.005; done; kill -9 $$");
  fixture.wait_start("job");
  fixture.wait_start("killed");

  fixture.kill_launcher();
  fixture.kill_launcher();
  open_gate(fixture);

  CHECK(fixture.wait_end("job").end().exit_code() == 11);
  CHECK(fixture.wait_end("job").end().max_rss_bytes() > 0);
  CHECK(fixture.wait_end("killed").end().signal() == SIGKILL);
}

TEST_CASE("older kernel: the status of what init has not reaped yet is read from /proc",
          "[launcher][kernel]") {
  const OlderKernel older;
  LauncherFixture fixture;
  const StandInInit init(fixture);
  const pid_t launcher = end_unseen(fixture);

  REQUIRE(::kill(launcher, SIGCONT) == 0);

  CHECK(fixture.wait_end("job").end().reason() == JobEnd::EXITED);
  CHECK(fixture.wait_end("job").end().exit_code() == 11);
  init.reap();
}

TEST_CASE("older kernel: what init has reaped unseen has an unknown status, which is no success",
          "[launcher][kernel]") {
  const OlderKernel older;
  LauncherFixture fixture;
  const StandInInit init(fixture);
  const pid_t launcher = end_unseen(fixture);

  init.reap();
  REQUIRE(::kill(launcher, SIGCONT) == 0);

  CHECK(fixture.wait_end("job").end().reason() == JobEnd::EXIT_STATUS_UNKNOWN);
  CHECK_FALSE(fixture.wait_end("job").end().has_exit_code());
  CHECK(fixture.wait_end("job").end().message() == "it ended while nobody could see how");
}

TEST_CASE("Linux 6.15: what init has reaped unseen has its status all the same",
          "[launcher][kernel]") {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(3);
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  if (!reaped_wait_status(pidfd.get())) {
    WARN("not tested: this kernel has no PIDFD_GET_INFO");
    return;
  }
  LauncherFixture fixture;
  const StandInInit init(fixture);
  const pid_t launcher = end_unseen(fixture);

  init.reap();
  REQUIRE(::kill(launcher, SIGCONT) == 0);

  CHECK(fixture.wait_end("job").end().reason() == JobEnd::EXITED);
  CHECK(fixture.wait_end("job").end().exit_code() == 11);
}

}  // namespace
}  // namespace clusterd
