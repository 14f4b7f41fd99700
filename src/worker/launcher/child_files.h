#pragma once

#include <sys/types.h>

namespace clusterd {

// What a child does with files that its job names, between vfork and execve, once it looks at them
// as its user. All functions are async-signal-safe. They follow no symbolic link: the paths were
// resolved when they were checked, so a link on the way was put there since. False, or −1: errno
// tells why.

// Makes `path` the working folder.
[[nodiscard]] bool enter_folder(const char* path);

// Whether the folder can be opened. Links on the way are followed: the path is the worker's own.
[[nodiscard]] bool can_reach_folder(const char* path);

// Opens a regular file for reading. ESTALE: it is something else by now.
[[nodiscard]] int open_input_file(const char* path);

// Whether `path` is still a regular file that only root and `service` may write, and where
// `is_read` one that can be read. ESTALE: others may write it, or it is something else by now.
[[nodiscard]] bool is_still_trusted(const char* path, bool is_read, uid_t service);

}  // namespace clusterd
