#include "worker/launcher_process.h"

#include <fcntl.h>
#include <spawn.h>
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

namespace clusterd {
namespace {

constexpr int kReadyFd = 3;

// posix_spawn's two objects; they release their memory at the end.
class SpawnSetup {
 public:
  SpawnSetup(int ready, const std::string& log) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, log.c_str(),
                                       O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions_, ready, kReadyFd);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, kReadyFd + 1);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  [[nodiscard]] const posix_spawn_file_actions_t* actions() const { return &actions_; }
  [[nodiscard]] const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

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
  const SpawnSetup setup(ready_end.get(), folder + "/launcher.log");
  std::vector<std::string> words = {
      options.executable, "launcher",          "--data-dir", options.data_dir,
      "--runtime-dir",    options.runtime_dir, "--ready-fd", std::to_string(kReadyFd)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int error = 0;
  {
    const InheritedOpenFiles limit(options.open_files);
    error = ::posix_spawn(&process.pid, options.executable.c_str(), setup.actions(),
                          setup.attributes(), argv.data(), environ);
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
