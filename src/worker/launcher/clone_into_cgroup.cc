#include "worker/launcher/clone_into_cgroup.h"

#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

namespace clusterd {
namespace {

// The library's syscall() cannot be used: the child would return from it, and overwrite on the way
// to execve() what the parent needs for its own return. AddressSanitizer follows vfork(), and would
// not follow this.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCanClone = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kCanClone = false;
#else
constexpr bool kCanClone = true;
#endif
#else
constexpr bool kCanClone = true;
#endif

[[gnu::always_inline]] inline int64_t raw_clone3(clone_args* arguments) {
#if defined(__x86_64__)
  int64_t result = SYS_clone3;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(arguments), "S"(sizeof(clone_args))
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register int64_t number asm("x8") = SYS_clone3;
  register int64_t first asm("x0") = reinterpret_cast<int64_t>(arguments);
  register int64_t second asm("x1") = sizeof(clone_args);
  asm volatile("svc 0" : "+r"(first) : "r"(number), "r"(second) : "memory");
  return first;
#else
  (void)arguments;
  return -ENOSYS;
#endif
}

}  // namespace

[[gnu::noinline]] pid_t vfork_into_cgroup(int cgroup, void (*run)(void*), void* argument) {
  if (!kCanClone) {
    errno = ENOSYS;
    return -1;
  }
  clone_args arguments{};
  arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<uint64_t>(cgroup);
  const int64_t result = raw_clone3(&arguments);
  if (result == 0) {
    run(argument);
    ::_exit(127);
  }
  if (result > 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}

bool leave_descriptors(int end) {
  return ::syscall(SYS_close_range, static_cast<unsigned>(end), ~0U, CLOSE_RANGE_UNSHARE) == 0;
}

}  // namespace clusterd
