#include "worker/runtime_dir.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "worker/data_dir_name.h"

namespace clusterd {
namespace {

constexpr const char* kSharedFolder = "/run/clusterd";
constexpr size_t kLongestPath = sizeof(sockaddr_un::sun_path) - sizeof("/launcher.sock");

bool is_on_tmpfs(const std::string& path) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

absl::Status make_private(const std::string& path) {
  if (path.size() > kLongestPath) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": longer than the ", kLongestPath,
                                                   " bytes that a Unix socket allows; set "
                                                   "jobs.runtime_dir to a shorter path"));
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  struct stat info {};
  const bool is_ours = ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
                       info.st_uid == ::geteuid() && (info.st_mode & 077) == 0;
  if (is_ours) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(path, ": must be a folder of this user with mode 0700"));
}

}  // namespace

absl::StatusOr<std::string> choose_runtime_dir(const std::string& configured,
                                               const std::string& data_dir) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(data_dir.c_str(), nullptr),
                                                         &std::free);
  if (real == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(data_dir, ": ", std::strerror(errno)));
  }
  const std::string own_name = absl::StrCat("/", data_dir_name(real.get()));
  std::string path = configured;
  if (path.empty() && is_on_tmpfs("/run")) {
    // 0711: others may pass to folders of their own, which are private.
    (void)::mkdir(kSharedFolder, 0711);
    path = kSharedFolder + own_name;
    if (make_private(path).ok()) return path;
    path.clear();
  }
  if (path.empty()) path = absl::StrCat(real.get(), "/run");
  if (!path.starts_with('/')) {
    const std::unique_ptr<char, decltype(&std::free)> here(::getcwd(nullptr, 0), &std::free);
    if (here != nullptr) path = absl::StrCat(here.get(), "/", path);
  }
  absl::Status made = make_private(path);
  if (made.ok() && !configured.empty()) {
    // Another worker may have been given the same: its launcher is not ours.
    path += own_name;
    made = make_private(path);
  }
  if (!made.ok()) return made;
  return path;
}

}  // namespace clusterd
