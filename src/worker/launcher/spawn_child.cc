#include "worker/launcher/spawn_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "worker/process_info.h"

namespace clusterd {
namespace {

int64_t clock_ns(clockid_t clock) {
  timespec time{};
  (void)::clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

[[noreturn]] void give_up(ChildPlan& plan, SpawnStage stage, bool tell_journal) {
  plan.failed->body.stage = stage;
  plan.failed->body.error = errno;
  if (tell_journal) {
    seal_record(plan.failed, JournalType::kSpawnFailed);
    (void)!::write(plan.journal, plan.failed, sizeof(*plan.failed));
  }
  ::_exit(127);
}

bool read_own_start(uint64_t* ticks) {
  const int file = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::array<char, 1024> text;
  const ssize_t size = ::read(file, text.data(), text.size());
  ::close(file);
  ProcessStat stat;
  if (size <= 0 || !parse_process_stat({text.data(), static_cast<size_t>(size)}, &stat)) {
    return false;
  }
  *ticks = stat.start_ticks;
  return true;
}

bool append_spawned(ChildPlan& plan) {
  JournalSpawned& body = plan.spawned->body;
  body.pid = ::getpid();
  if (!read_own_start(&body.start_ticks)) return false;
  body.boottime_ns = clock_ns(CLOCK_BOOTTIME);
  body.wall_ns = clock_ns(CLOCK_REALTIME);
  seal_record(plan.spawned, JournalType::kSpawned);
  const ssize_t written = ::write(plan.journal, plan.spawned, sizeof(*plan.spawned));
  if (written >= 0 && written < static_cast<ssize_t>(sizeof(*plan.spawned))) errno = ENOSPC;
  return written == static_cast<ssize_t>(sizeof(*plan.spawned));
}

// What the launcher changed for itself. Failures are no reason not to run.
void restore_baseline(const ChildPlan& plan) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (const int* signal = plan.ignored_signals; *signal != 0; ++signal) {
    (void)::sigaction(*signal, &action, nullptr);
  }
  (void)::setrlimit(RLIMIT_NOFILE, &plan.open_files);
  if (plan.oom_score_adj == nullptr) return;
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  (void)!::write(file, plan.oom_score_adj, std::strlen(plan.oom_score_adj));
  ::close(file);
}

[[noreturn]] void run_child(ChildPlan& plan) {
  restore_baseline(plan);
  if (::setsid() < 0) give_up(plan, SpawnStage::kSession, false);
  if (::chdir(plan.working_folder) != 0) give_up(plan, SpawnStage::kFolder, false);
  if (::dup2(plan.input, STDIN_FILENO) < 0 || ::dup2(plan.output, STDOUT_FILENO) < 0 ||
      ::dup2(plan.error, STDERR_FILENO) < 0) {
    give_up(plan, SpawnStage::kInput, false);
  }
  if (!append_spawned(plan)) give_up(plan, SpawnStage::kJournal, true);
  (void)::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::execve(plan.executable, plan.argv, plan.environment);
  give_up(plan, SpawnStage::kExecute, true);
}

}  // namespace

[[gnu::noinline]] pid_t vfork_child(ChildPlan& plan) {
  // The child runs nothing but run_child(), which ends in execve() or _exit().
  const pid_t pid = ::vfork();    // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid == 0) run_child(plan);  // NOLINT(clang-analyzer-unix.Vfork)
  return pid;
}

}  // namespace clusterd
