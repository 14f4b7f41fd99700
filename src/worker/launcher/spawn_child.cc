#include "worker/launcher/spawn_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "worker/launcher/child_files.h"
#include "worker/launcher/clone_into_cgroup.h"
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

uint64_t ticks_of(int64_t boottime_ns) {
  constexpr int64_t kTickNs = 10'000'000;  // USER_HZ is 100 on every processor that this runs on
  return static_cast<uint64_t>(boottime_ns / kTickNs);
}

// The kernel took the time of the start, on the same clock, between these two: mostly in one tick,
// and then nothing has to be read.
bool find_own_start(int64_t before_ns, int64_t after_ns, uint64_t* ticks) {
  *ticks = ticks_of(after_ns);
  return ticks_of(before_ns) == *ticks || read_own_start(ticks);
}

bool append_spawned(ChildPlan& plan) {
  JournalSpawned& body = plan.spawned->body;
  body.pid = ::getpid();
  body.boottime_ns = clock_ns(CLOCK_BOOTTIME);
  if (!find_own_start(plan.before_start_ns, body.boottime_ns, &body.start_ticks)) return false;
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
  if (plan.oom_score_adj == nullptr) return;
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  (void)!::write(file, plan.oom_score_adj, std::strlen(plan.oom_score_adj));
  ::close(file);
}

void enter_cgroups(ChildPlan& plan) {
  for (const int* door = plan.doors; *door >= 0; ++door) {
    if (::write(*door, "0", 1) != 1) give_up(plan, SpawnStage::kCgroup, false);
  }
}

void set_limits(ChildPlan& plan) {
  const bool is_set = ::setrlimit(RLIMIT_NOFILE, &plan.open_files) == 0 &&
                      (plan.core == nullptr || ::setrlimit(RLIMIT_CORE, plan.core) == 0) &&
                      (plan.nice == nullptr || ::setpriority(PRIO_PROCESS, 0, *plan.nice) == 0);
  if (!is_set) give_up(plan, SpawnStage::kLimits, false);
}

bool take_standard_files(const ChildPlan& plan) {
  const int input = plan.input_file == nullptr ? plan.input : open_input_file(plan.input_file);
  return input >= 0 && ::dup2(input, STDIN_FILENO) >= 0 &&
         ::dup2(plan.output, STDOUT_FILENO) >= 0 && ::dup2(plan.error, STDERR_FILENO) >= 0;
}

// Of a copy it does not matter what became of the file, as long as the user may read that.
bool is_script_good(const ChildPlan& plan) {
  return plan.script == nullptr ||
         is_still_trusted(plan.script, plan.script_is_read, plan.service_user) ||
         (plan.sealed_script >= 0 && errno != EACCES);
}

// The one descriptor beside the standard ones that a job may get. The journal makes room for it.
bool hand_over_script(ChildPlan& plan) {
  if (plan.sealed_script < 0) return true;
  if (plan.sealed_script == kSealedScriptFd) return ::fcntl(kSealedScriptFd, F_SETFD, 0) == 0;
  if (plan.journal == kSealedScriptFd) {
    plan.journal = ::fcntl(plan.journal, F_DUPFD_CLOEXEC, kSealedScriptFd + 1);
  }
  return plan.journal >= 0 && ::dup2(plan.sealed_script, kSealedScriptFd) >= 0;
}

[[noreturn]] void run_child(ChildPlan& plan) {
  enter_cgroups(plan);
  restore_baseline(plan);
  set_limits(plan);
  if (plan.umask != nullptr) (void)::umask(*plan.umask);
  if (::setsid() < 0) give_up(plan, SpawnStage::kSession, false);
  if (!look_as(plan.user)) give_up(plan, SpawnStage::kUser, false);
  if (!enter_folder(plan.working_folder)) give_up(plan, SpawnStage::kFolder, false);
  if (!take_standard_files(plan)) give_up(plan, SpawnStage::kInput, false);
  if (!is_script_good(plan)) give_up(plan, SpawnStage::kScript, false);
  if (plan.scratch != nullptr && !can_reach_folder(plan.scratch)) {
    give_up(plan, SpawnStage::kScratch, false);
  }
  if (!append_spawned(plan)) give_up(plan, SpawnStage::kJournal, true);
  (void)::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  if (!hand_over_script(plan)) give_up(plan, SpawnStage::kScript, true);
  if (plan.child != nullptr) *plan.child = ::getpid();
  if (!become(plan.user)) give_up(plan, SpawnStage::kUser, true);
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::execve(plan.executable, plan.argv, plan.environment);
  give_up(plan, SpawnStage::kExecute, true);
}

[[noreturn]] void run_with_own_files(ChildPlan& plan) {
  if (!leave_descriptors(plan.end_of_files)) give_up(plan, SpawnStage::kPrepare, false);
  run_child(plan);
}

}  // namespace

[[gnu::noinline]] pid_t vfork_child(ChildPlan& plan) {
  plan.before_start_ns = clock_ns(CLOCK_BOOTTIME);
  // The child runs nothing but these, which end in execve() or _exit().
  if (plan.cgroup >= 0) {
    return vfork_into_cgroup(
        plan.cgroup, [](void* given) { run_with_own_files(*static_cast<ChildPlan*>(given)); },
        &plan);
  }
  const pid_t pid = ::vfork();    // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid == 0) run_child(plan);  // NOLINT(clang-analyzer-unix.Vfork)
  return pid;
}

}  // namespace clusterd
