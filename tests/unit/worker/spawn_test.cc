#include "worker/launcher/spawn.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <thread>

namespace clusterd {
namespace {

// From now on fchdir(2) kills the process of whoever calls it: this thread and its children. False
// where the kernel refuses.
bool let_fchdir_kill() {
  std::array<sock_filter, 4> filter = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchdir, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{filter.size(), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_CASE("a child that is killed before it has told of itself did not start", "[spawn]") {
  std::string folder = std::filesystem::temp_directory_path() / "spawn-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  REQUIRE(::mkdir((folder + "/fifo").c_str(), 0700) == 0);
  const UniqueFd journal(
      ::open((folder + "/journal").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  SpawnOrder order;
  order.handle = 1;
  order.intent.set_handle(1);
  order.intent.set_runtime_dir(folder);
  order.plan.set_executable("/bin/true");
  order.plan.add_argv("true");
  order.plan.set_working_folder("/");
  order.journal_fd = journal.get();
  ChildBaseline baseline;
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &baseline.open_files) == 0);
  SpawnResult result;
  CgroupPool cgroups(CgroupHome::open(folder, CgroupMode::kOff));
  bool can_kill = false;

  std::thread thread([&] {
    can_kill = let_fchdir_kill();
    HandoverFds handover;
    if (can_kill) result = spawn(std::move(order), baseline, cgroups, handover);
  });
  thread.join();

  if (can_kill) {
    CHECK(absl::IsUnavailable(result.status));
    CHECK(std::filesystem::is_empty(folder + "/fifo"));
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
    CHECK(errno == ECHILD);
  } else {
    WARN("not tested: this kernel has no seccomp filters");
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace clusterd
