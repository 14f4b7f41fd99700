#include "worker/launcher/spawn_watch.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

namespace clusterd {

TEST_CASE("a child that was stopped before its program runs goes on", "[spawn]") {
  SpawnWatch watch(std::chrono::milliseconds(5));
  SpawnWatch::Spawning spawning(watch);
  const pid_t child = ::fork();
  if (child == 0) {
    (void)::raise(SIGSTOP);
    ::_exit(7);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
  REQUIRE(WIFSTOPPED(status));

  spawning.child() = child;

  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a process of others is left alone, and so is a spawn that is over", "[spawn]") {
  SpawnWatch watch(std::chrono::milliseconds(1));
  const pid_t child = ::fork();
  if (child == 0) {
    (void)::raise(SIGSTOP);
    ::_exit(7);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
  {
    SpawnWatch::Spawning spawning(watch);
    spawning.child() = 1;
    ::usleep(20'000);  // some rounds
  }
  { const SpawnWatch::Spawning over(watch); }

  CHECK(::waitpid(child, &status, WNOHANG | WCONTINUED) == 0);

  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
}

}  // namespace clusterd
