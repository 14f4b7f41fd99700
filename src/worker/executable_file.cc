#include "worker/executable_file.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "worker/process_info.h"
#include "worker/spawn_setup.h"

namespace clusterd {
namespace {

constexpr int kLongestTryMs = 10'000;

absl::Status describe(const std::string& path, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      WIFEXITED(status) ? absl::StrCat(path, " exited with code ", WEXITSTATUS(status))
                        : absl::StrCat(path, " was ended by signal ", WTERMSIG(status)));
}

}  // namespace

absl::StatusOr<std::string> own_executable() {
  std::string path(PATH_MAX, '\0');
  const ssize_t length = ::readlink(kOwnExecutable, path.data(), path.size());
  if (length < 0) return absl::ErrnoToStatus(errno, kOwnExecutable);
  path.resize(static_cast<size_t>(length));
  // Another file has taken its place, as an upgrade does: that one is meant.
  if (constexpr std::string_view kGone = " (deleted)"; path.ends_with(kGone)) {
    path.resize(path.size() - kGone.size());
  }
  return path;
}

std::string executable_id(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_dev, ":", info.st_ino, ":", info.st_size, ":", info.st_mtim.tv_sec,
                      ".", info.st_mtim.tv_nsec);
}

absl::Status try_executable(const std::string& path, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  SpawnSetup setup;
  setup.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  setup.pass(STDERR_FILENO, STDOUT_FILENO);
  setup.close_from(STDERR_FILENO + 1);
  pid_t pid = 0;
  const int error = setup.start(path, std::move(words), &pid);
  if (error != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", std::strerror(error)));
  }
  const UniqueFd pidfd = open_pidfd(pid);
  pollfd ended{pidfd.get(), POLLIN, 0};
  const bool has_ended = pidfd.valid() && ::poll(&ended, 1, kLongestTryMs) == 1;
  if (!has_ended) (void)::kill(pid, SIGKILL);
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) {
    return absl::InternalError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  if (!has_ended) return absl::DeadlineExceededError(absl::StrCat(path, " took longer than 10 s"));
  return describe(path, status);
}

}  // namespace clusterd
