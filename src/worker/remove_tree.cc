#include "worker/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/utf8.h"
#include "worker/unique_fd.h"

namespace clusterd {
namespace {

// Each round takes what lies in the folder itself; what lies deeper is moved up into it first. So
// it takes as many rounds as the tree is deep, and two open folders whatever the depth.
constexpr int kMaxRounds = 10'000'000;

absl::Status failure(std::string_view name, int error) {
  return absl::UnavailableError(absl::StrCat(to_valid_utf8(name), ": ", std::strerror(error)));
}

// Opens a folder for changes; its owner may have taken its own rights away. Never through a link.
UniqueFd open_folder(int parent, const char* name) {
  const UniqueFd path(::openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!path.valid() || ::fstat(path.get(), &info) != 0) return UniqueFd();
  if ((info.st_mode & S_IRWXU) != S_IRWXU) {
    const std::string same = absl::StrCat("/proc/self/fd/", path.get());
    (void)::chmod(same.c_str(), S_IRWXU);
  }
  return UniqueFd(::openat(path.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

class TreeRemover {
 public:
  TreeRemover(int root, dev_t device, const std::atomic<bool>& stop)
      : root_(root), device_(device), stop_(stop) {}

  absl::Status run() {
    for (int round = 0; round < kMaxRounds; ++round) {
      failure_ = absl::OkStatus();
      removed_ = 0;
      for_each(root_, [this](const char* name) { remove_entry(name); });
      if (stop_) return absl::CancelledError("stopped");
      if (removed_ == 0) return failure_;
    }
    return absl::UnavailableError("it is filled as fast as it is emptied");
  }

 private:
  template <typename Action>
  void for_each(int folder, const Action& action) {
    const auto close = [](DIR* open) { (void)::closedir(open); };
    // A description of its own: the position in the folder is part of it.
    const std::unique_ptr<DIR, decltype(close)> entries(
        ::fdopendir(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), close);
    if (entries == nullptr) return note(".", errno);
    while (!stop_) {
      const dirent* entry = ::readdir(entries.get());
      if (entry == nullptr) return;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") action(entry->d_name);
    }
  }

  void remove_entry(const char* name) {
    if (::unlinkat(root_, name, 0) == 0 || ::unlinkat(root_, name, AT_REMOVEDIR) == 0) {
      ++removed_;
      return;
    }
    if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES && errno != EPERM) {
      if (errno != ENOENT) note(name, errno);
      return;
    }
    const UniqueFd folder = open_folder(root_, name);
    struct stat info {};
    if (!folder.valid() || ::fstat(folder.get(), &info) != 0) return note(name, errno);
    if (info.st_dev != device_) return note(name, EXDEV);
    for_each(folder.get(), [this, &folder](const char* inner) { lift(folder.get(), inner); });
    if (::unlinkat(root_, name, AT_REMOVEDIR) == 0) ++removed_;
  }

  // Removes an entry of a folder, or moves it up into the root.
  void lift(int folder, const char* name) {
    if (::unlinkat(folder, name, 0) == 0) {
      ++removed_;
      return;
    }
    int error = errno;
    for (int tries = 0; tries < 100; ++tries) {
      const std::string fresh = absl::StrCat(".lifted-", ++lifted_);
      if (::renameat2(folder, name, root_, fresh.c_str(), RENAME_NOREPLACE) == 0) {
        ++removed_;
        return;
      }
      error = errno;
      if (error == EACCES) (void)open_folder(folder, name);  // to be moved it must be writable
      if (error != EEXIST && error != EACCES) break;
    }
    note(name, error);
  }

  void note(std::string_view name, int error) { failure_.Update(failure(name, error)); }

  const int root_;
  const dev_t device_;
  const std::atomic<bool>& stop_;
  absl::Status failure_;
  size_t removed_ = 0;
  uint64_t lifted_ = 0;
};

}  // namespace

absl::Status remove_tree(const std::string& path, const std::atomic<bool>& stop) {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno == ENOTDIR) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    return failure(path, errno);
  }
  const UniqueFd root = open_folder(AT_FDCWD, path.c_str());
  struct stat info {};
  if (!root.valid() || ::fstat(root.get(), &info) != 0) return failure(path, errno);
  const absl::Status status = TreeRemover(root.get(), info.st_dev, stop).run();
  if (absl::IsCancelled(status)) return status;
  if (!status.ok()) return absl::UnavailableError(absl::StrCat(path, ": ", status.message()));
  return ::rmdir(path.c_str()) == 0 || errno == ENOENT ? absl::OkStatus() : failure(path, errno);
}

}  // namespace clusterd
