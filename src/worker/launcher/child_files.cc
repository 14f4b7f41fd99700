#include "worker/launcher/child_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace clusterd {
namespace {

int open_without_links(const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
}

// Closes `file` and keeps errno.
bool close_after(int file, bool result, int error) {
  (void)::close(file);
  errno = error;
  return result;
}

}  // namespace

bool enter_folder(const char* path) {
  const int folder = open_without_links(path, O_PATH | O_DIRECTORY);
  if (folder < 0) return false;
  const bool entered = ::fchdir(folder) == 0;
  return close_after(folder, entered, errno);
}

bool can_reach_folder(const char* path) {
  const int folder = ::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) (void)::close(folder);
  return folder >= 0;
}

int open_input_file(const char* path) {
  // Without waiting for the other end of what may have become a FIFO.
  const int file = open_without_links(path, O_RDONLY | O_NONBLOCK);
  if (file < 0) return -1;
  struct stat info {};
  const bool is_file = ::fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  if (is_file && ::fcntl(file, F_SETFL, 0) == 0) return file;
  (void)close_after(file, false, ESTALE);
  return -1;
}

bool is_still_trusted(const char* path, bool is_read, uid_t service) {
  const int file = open_without_links(path, is_read ? O_RDONLY | O_NONBLOCK : O_PATH);
  if (file < 0) return false;
  struct stat info {};
  const bool known = ::fstat(file, &info) == 0;
  const bool trusted = known && S_ISREG(info.st_mode) &&
                       (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
                       (info.st_uid == 0 || info.st_uid == service);
  return close_after(file, trusted, ESTALE);
}

}  // namespace clusterd
