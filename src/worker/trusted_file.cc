#include "worker/trusted_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/sha256.h"

namespace clusterd {
namespace {

absl::Status errno_status(const std::string& path) {
  return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<UniqueFd> open_trusted_file(const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd file(
      static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof(how))));
  struct stat info {};
  if (!file.valid() && errno == ELOOP) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": leads through a symbolic link"));
  }
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return errno_status(path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a regular file"));
  }
  const bool is_owned = info.st_uid == 0 || info.st_uid == ::geteuid();
  if (is_owned && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0) return file;
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": others than root and the worker's user may write it"));
}

absl::StatusOr<std::string> sha256_of_file(int file, const std::string& path) {
  Sha256 digest;
  std::array<char, 64 << 10> buffer;
  while (true) {
    const ssize_t size = ::read(file, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_status(path);
    if (size == 0) break;
    digest.add({buffer.data(), static_cast<size_t>(size)});
  }
  if (::lseek(file, 0, SEEK_SET) != 0) return errno_status(path);
  return digest.finish();
}

}  // namespace clusterd
