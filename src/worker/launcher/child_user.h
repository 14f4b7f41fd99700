#pragma once

#include <sys/types.h>

#include <cstddef>

namespace clusterd {

// Whose process a child becomes, between vfork and execve. All functions are async-signal-safe and
// use system calls alone: the library's functions would change the threads of the launcher too,
// whose memory the child still has.
struct ChildUser {
  bool is_another = false;  // than the launcher's
  uid_t uid = 0;
  gid_t gid = 0;
  const gid_t* groups = nullptr;
  size_t group_count = 0;
  bool allow_new_privileges = false;
};

// First step: from here on files are looked at with the user's rights. The user may not yet signal
// or trace the child. False: errno tells why.
[[nodiscard]] bool look_as(const ChildUser& user);

// Last step, directly before execve: the process is the user's, without capabilities that the
// launcher may have had for its own use, and without a way to gain others. False: errno tells why.
[[nodiscard]] bool become(const ChildUser& user);

}  // namespace clusterd
