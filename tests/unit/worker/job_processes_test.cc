#include "worker/job_processes.h"

#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

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

}  // namespace
}  // namespace clusterd
