#pragma once

#include <sys/types.h>

namespace clusterd {

// As vfork(2), but the child begins in the cgroup of version 2 whose folder is given, and with the
// caller's descriptors instead of copies: `run` begins with leave_descriptors() before it changes
// any, ends in execve() or _exit(), and works on the caller's memory, which waits meanwhile. −1: no
// child, errno is set; ENOSYS where this build or the kernel cannot do it.
[[nodiscard]] pid_t vfork_into_cgroup(int cgroup, void (*run)(void*), void* argument);

// In such a child: takes copies of the descriptors below `end`, and none of the others
// (close_range(2)). Async-signal-safe. False: errno tells why.
[[nodiscard]] bool leave_descriptors(int end);

}  // namespace clusterd
