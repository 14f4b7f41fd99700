#include "worker/launcher/run_launcher.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/crc32c.h"
#include "core/log.h"
#include "worker/launcher/control_loop.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

constexpr int kExitUsage = 64;
constexpr int kExitFailed = 70;
constexpr int kExitBusy = 75;
constexpr std::string_view kProtected = "-900";

struct Arguments {
  std::string data_dir;
  std::string runtime_dir;
  int ready_fd = -1;
};

absl::StatusOr<Arguments> parse_arguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    if (name == "--data-dir") {
      arguments.data_dir = value;
    } else if (name == "--runtime-dir") {
      arguments.runtime_dir = value;
    } else if (name == "--ready-fd") {
      (void)std::from_chars(value.data(), value.data() + value.size(), arguments.ready_fd);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag ", argv[i]));
    }
  }
  if (!arguments.data_dir.starts_with('/') || !arguments.runtime_dir.starts_with('/')) {
    return absl::InvalidArgumentError("--data-dir and --runtime-dir must be absolute paths");
  }
  return arguments;
}

absl::Status errno_error(const std::string& what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(errno));
  return errno == EWOULDBLOCK ? absl::AlreadyExistsError(text) : absl::InternalError(text);
}

absl::Status make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return errno_error(path);
}

// Every child holds it until its execve: whoever gets it knows that none is on its way.
absl::StatusOr<UniqueFd> lock_folder(const std::string& folder) {
  const std::string path = folder + "/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid() || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return errno_error(path);
  return file;
}

absl::StatusOr<UniqueFd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": too long for a Unix socket"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  (void)::unlink(path.c_str());  // of a launcher that died; the lock is ours
  if (!socket.valid() ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(socket.get(), 16) != 0) {
    return errno_error(path);
  }
  return socket;
}

// Lowers the chance that the kernel picks the launcher when memory is short. Returns what was set
// before, for the children; empty where it was not changed.
std::string protect_from_oom() {
  const std::string path = "/proc/self/oom_score_adj";
  std::string before;
  std::ifstream(path) >> before;
  std::ofstream file(path);
  file << kProtected << std::flush;
  return file.good() ? before : "";
}

// Changes what is the launcher's own, and returns what its children are to have instead.
ChildBaseline become_launcher() {
  ChildBaseline baseline;
  baseline.boot_id = read_boot_id();
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    const bool known = ::sigaction(signal, nullptr, &action) == 0;
    if (known && action.sa_handler != SIG_DFL) baseline.ignored_signals.push_back(signal);
  }
  sigset_t all;
  (void)::sigfillset(&all);
  (void)::sigprocmask(SIG_SETMASK, &all, nullptr);  // SIGCHLD comes by descriptor
  // A signal that its parent ignored: an ignored SIGCHLD would let children vanish unseen.
  (void)::signal(SIGCHLD, SIG_DFL);
  (void)::setsid();  // fails where it is a leader already
  (void)::prctl(PR_SET_CHILD_SUBREAPER, 1);
  (void)::getrlimit(RLIMIT_NOFILE, &baseline.open_files);
  rlimit raised = baseline.open_files;
  raised.rlim_cur = raised.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &raised);
  baseline.oom_score_adj = protect_from_oom();
  (void)::prctl(PR_SET_DUMPABLE, 0);
  (void)crc32c("1");  // picks its implementation, which a child may not do
  return baseline;
}

absl::Status serve(const Arguments& arguments) {
  const std::string folder = arguments.data_dir + "/launcher";
  for (const std::string& path :
       {folder, arguments.data_dir + "/output", arguments.runtime_dir + "/fifo"}) {
    const absl::Status made = make_folder(path);
    if (!made.ok()) return made;
  }
  const absl::StatusOr<UniqueFd> lock = lock_folder(folder);
  if (!lock.ok()) return lock.status();
  SupervisorOptions options{arguments.data_dir, arguments.runtime_dir, become_launcher()};
  JournalContent content;
  absl::StatusOr<Journal> journal = Journal::open(folder, options.baseline.boot_id, &content);
  if (!journal.ok()) return journal.status();
  const std::string socket_path = arguments.runtime_dir + "/launcher.sock";
  absl::StatusOr<UniqueFd> listener = listen_at(socket_path);
  if (!listener.ok()) return listener.status();
  const SystemClock clock;
  ControlLoop loop(std::move(options), *std::move(journal), std::move(content),
                   *std::move(listener), clock);
  if (arguments.ready_fd >= 0) {
    (void)!::write(arguments.ready_fd, "1", 1);
    (void)::close(arguments.ready_fd);
  }
  loop.run();
  (void)::unlink(socket_path.c_str());
  return absl::OkStatus();
}

}  // namespace

int run_launcher(int argc, char** argv) {
  const absl::StatusOr<Arguments> arguments = parse_arguments(argc, argv);
  if (!arguments.ok()) {
    log_error("launcher", "bad arguments", {{"error", arguments.status()}});
    return kExitUsage;
  }
  const absl::Status status = serve(*arguments);
  if (status.ok()) return 0;
  if (absl::IsAlreadyExists(status)) return kExitBusy;
  log_error("launcher", "cannot serve", {{"error", status}});
  return kExitFailed;
}

}  // namespace clusterd
