#include "worker/job_processes.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>

namespace clusterd {
namespace {

TEST_CASE("a child of ours that ended is reaped with its end, whoever lost a launcher",
          "[job_processes]") {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  JobProcesses processes(epoll.get());
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(3);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  internal::LaunchedAttempt attempt;
  attempt.mutable_key()->set_job_id("job");
  attempt.set_started(true);
  attempt.set_pid(pid);
  processes.on_started(attempt);

  processes.on_ended(attempt.key());

  CHECK(::waitpid(pid, nullptr, 0) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("what falls to us without a pidfd wakes us when it ends", "[job_processes]") {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  JobProcesses processes(epoll.get());
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const UniqueFd reading(pipe[0]);
  UniqueFd writing(pipe[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(pipe[1]);
    char byte = 0;
    (void)!::read(pipe[0], &byte, 1);  // until the test closes its end
    ::_exit(7);
  }
  internal::LaunchedAttempt attempt;
  attempt.mutable_key()->set_job_id("job");
  attempt.set_started(true);
  attempt.set_pid(pid);
  processes.on_started(attempt);

  processes.on_launcher_lost();

  epoll_event event{};
  CHECK(::epoll_wait(epoll.get(), &event, 1, 0) == 0);
  writing.reset();
  REQUIRE(::epoll_wait(epoll.get(), &event, 1, 10'000) == 1);
  CHECK(processes.on_readable(event.data.fd));
  const std::vector<internal::ReapedChild> reaped = processes.take_reaped();
  REQUIRE(reaped.size() == 1);
  CHECK(WEXITSTATUS(reaped[0].wait_status()) == 7);
}

}  // namespace
}  // namespace clusterd
