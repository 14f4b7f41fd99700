#include "worker/launcher_process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/process_info.h"
#include "worker/spawn_setup.h"

namespace clusterd {
namespace {

constexpr int kReadyFd = 3;

// The soft limit of open files as a child started meanwhile is to inherit it. It is lowered for
// this whole process: posix_spawn cannot set one.
class InheritedOpenFiles {
 public:
  explicit InheritedOpenFiles(uint64_t soft_limit) {
    (void)::getrlimit(RLIMIT_NOFILE, &before_);
    if (soft_limit == 0 || soft_limit >= before_.rlim_cur) return;
    const rlimit lowered{soft_limit, before_.rlim_max};
    (void)::setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~InheritedOpenFiles() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }
  InheritedOpenFiles(const InheritedOpenFiles&) = delete;
  InheritedOpenFiles& operator=(const InheritedOpenFiles&) = delete;

 private:
  rlimit before_{};
};

std::vector<std::string> words_of(const LauncherOptions& options) {
  std::vector<std::string> words = {
      options.executable, "launcher",          "--data-dir", options.data_dir,
      "--runtime-dir",    options.runtime_dir, "--ready-fd", std::to_string(kReadyFd),
      "--cgroups",        options.cgroups};
  if (!options.cgroup_parent.empty()) {
    words.insert(words.end(), {"--cgroup-parent", options.cgroup_parent});
  }
  return words;
}

}  // namespace

absl::StatusOr<LauncherProcess> start_launcher(const LauncherOptions& options) {
  const std::string folder = options.data_dir + "/launcher";
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::InternalError(absl::StrCat(folder, ": ", std::strerror(errno)));
  }
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return absl::InternalError(std::strerror(errno));
  LauncherProcess process;
  process.ready.reset(pipe[0]);
  const UniqueFd ready_end(pipe[1]);
  SpawnSetup setup;
  setup.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  setup.open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  setup.open(STDERR_FILENO, folder + "/launcher.log", O_WRONLY | O_CREAT | O_APPEND);
  setup.pass(ready_end.get(), kReadyFd);
  setup.close_from(kReadyFd + 1);
  setup.lead_session();
  sigset_t all;
  (void)::sigfillset(&all);
  setup.handle_by_default(all);
  int error = 0;
  {
    const InheritedOpenFiles limit(options.open_files);
    error = setup.start(options.executable, words_of(options), &process.pid);
  }
  if (error != 0) {
    return absl::InternalError(absl::StrCat(options.executable, ": ", std::strerror(error)));
  }
  process.pidfd = open_pidfd(process.pid);
  return process;
}

absl::StatusOr<UniqueFd> connect_to_launcher(const LauncherOptions& options) {
  const std::string path = options.runtime_dir + "/launcher.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": too long for a Unix socket"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid() ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  return socket;
}

}  // namespace clusterd
