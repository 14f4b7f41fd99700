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
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clusterd/version.h"
#include "core/crc32c.h"
#include "core/log.h"
#include "worker/executable_file.h"
#include "worker/inheritance.h"
#include "worker/launcher/control_loop.h"
#include "worker/launcher/startup_pages.h"
#include "worker/process_info.h"
#include "worker/spawn_setup.h"

namespace clusterd {
namespace {

constexpr int kExitUsage = 64;
constexpr int kExitFailed = 70;
constexpr int kExitBusy = 75;
constexpr std::string_view kProtected = "-900";
constexpr char kInheritedFd[] = "--inherited-fd";
constexpr char kCgroupParent[] = "--cgroup-parent";
constexpr char kWorkerConfig[] = "--worker-config";
constexpr char kWorkerPortFile[] = "--worker-port-file";
// A test's word for a kernel before 6.15 (docs/architecture.md).
constexpr char kKernelWithout[] = "CLUSTERD_KERNEL_WITHOUT";

struct Arguments {
  std::string data_dir;
  std::string runtime_dir;
  int ready_fd = -1;
  std::string cgroups = "auto";  // the word for the next
  CgroupMode cgroup_mode = CgroupMode::kAuto;
  std::string cgroup_parent;
  int inherited_fd = -1;
  std::string worker_config;     // set: the first process of a container, which runs the worker
  std::string worker_port_file;  // empty: none
};

absl::StatusOr<CgroupMode> parse_cgroup_mode(std::string_view word) {
  if (word == "auto") return CgroupMode::kAuto;
  if (word == "v1") return CgroupMode::kVersion1;
  if (word == "off") return CgroupMode::kOff;
  return absl::InvalidArgumentError(
      absl::StrCat("--cgroups ", std::string(word), ": allowed are auto, v1, off"));
}

bool to_number(std::string_view text, int* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

absl::StatusOr<Arguments> parse_arguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    if (name == "--data-dir") {
      arguments.data_dir = value;
    } else if (name == "--runtime-dir") {
      arguments.runtime_dir = value;
    } else if (name == "--cgroups") {
      const auto mode = parse_cgroup_mode(value);
      if (!mode.ok()) return mode.status();
      arguments.cgroups = value;
      arguments.cgroup_mode = *mode;
    } else if (name == kCgroupParent) {
      arguments.cgroup_parent = value;
    } else if (name == kWorkerConfig) {
      arguments.worker_config = value;
    } else if (name == kWorkerPortFile) {
      arguments.worker_port_file = value;
    } else if (!(name == "--ready-fd" && to_number(value, &arguments.ready_fd)) &&
               !(name == kInheritedFd && to_number(value, &arguments.inherited_fd))) {
      return absl::InvalidArgumentError(absl::StrCat("bad flag ", argv[i], " ", argv[i + 1]));
    }
  }
  if (!arguments.data_dir.starts_with('/') || !arguments.runtime_dir.starts_with('/')) {
    return absl::InvalidArgumentError("--data-dir and --runtime-dir must be absolute paths");
  }
  return arguments;
}

absl::Status errno_error(const std::string& what) {
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::Status make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return errno_error(path);
}

// Every child holds it until its execve: whoever gets it knows that none is on its way.
absl::StatusOr<UniqueFd> lock_folder(const std::string& folder) {
  const std::string path = folder + "/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file.valid() && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) return errno_error(path);
  return absl::AlreadyExistsError(path + " is held by another launcher");
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

// What an earlier executable of this process had found before it changed it.
void recall_baseline(const internal::Inheritance& inheritance, ChildBaseline* baseline) {
  baseline->open_files.rlim_cur = inheritance.open_files_soft();
  baseline->open_files.rlim_max = inheritance.open_files_hard();
  baseline->oom_score_adj = inheritance.oom_score_adj();
}

// Changes what is the launcher's own, and returns what its children are to have instead.
ChildBaseline become_launcher(const std::optional<Inherited>& inherited) {
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
  if (inherited) {
    recall_baseline(inherited->message(), &baseline);
  } else {
    (void)::getrlimit(RLIMIT_NOFILE, &baseline.open_files);
    rlimit raised = baseline.open_files;
    raised.rlim_cur = raised.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &raised);
    baseline.oom_score_adj = protect_from_oom();
  }
  (void)::prctl(PR_SET_DUMPABLE, 0);
  (void)crc32c("1");  // picks its implementation, which a child may not do
  return baseline;
}

bool asks_pidfd_info() {
  const char* without = std::getenv(kKernelWithout);
  return without == nullptr || std::string_view(without) != "pidfd_info";
}

// Becomes `executable`, which goes on with `inheritance`. Returns where that failed.
absl::Status replace_process(const Arguments& arguments, UniqueFd& lock,
                             const std::string& executable, internal::Inheritance inheritance) {
  inheritance.set_lock(lock.get());
  const absl::StatusOr<UniqueFd> memory = write_inheritance(inheritance);
  if (!memory.ok()) return memory.status();
  KeptDescriptors kept;
  kept.keep(lock.get());
  kept.keep(memory->get());
  std::vector<std::string> words = {executable,      "launcher",
                                    "--data-dir",    arguments.data_dir,
                                    "--runtime-dir", arguments.runtime_dir,
                                    "--cgroups",     arguments.cgroups,
                                    kInheritedFd,    std::to_string(memory->get())};
  if (!arguments.cgroup_parent.empty()) {
    words.insert(words.end(), {kCgroupParent, arguments.cgroup_parent});
  }
  if (!arguments.worker_config.empty()) {
    words.insert(words.end(), {kWorkerConfig, arguments.worker_config});
  }
  if (!arguments.worker_port_file.empty()) {
    words.insert(words.end(), {kWorkerPortFile, arguments.worker_port_file});
  }
  (void)::execv(executable.c_str(), SpawnSetup::pointers_to(words).data());
  return errno_error(executable);
}

absl::Status make_folders(const Arguments& arguments) {
  for (const std::string& path : {arguments.data_dir + "/launcher", arguments.data_dir + "/output",
                                  arguments.runtime_dir + "/fifo"}) {
    const absl::Status made = make_folder(path);
    if (!made.ok()) return made;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Inherited>> take_inheritance(const Arguments& arguments) {
  if (arguments.inherited_fd < 0) return std::nullopt;
  absl::StatusOr<Inherited> inherited = Inherited::read(arguments.inherited_fd);
  if (!inherited.ok()) return inherited.status();
  return *std::move(inherited);
}

// The process's exit code, or why it cannot serve.
absl::StatusOr<int> serve(const Arguments& arguments) {
  if (auto status = make_folders(arguments); !status.ok()) return status;
  absl::StatusOr<std::optional<Inherited>> inherited = take_inheritance(arguments);
  if (!inherited.ok()) return inherited.status();
  const std::string folder = arguments.data_dir + "/launcher";
  const std::string socket_path = arguments.runtime_dir + "/launcher.sock";
  absl::StatusOr<UniqueFd> lock = *inherited ? (*inherited)->take_lock() : lock_folder(folder);
  if (!lock.ok()) return lock.status();
  SupervisorOptions options{arguments.data_dir,          arguments.runtime_dir,
                            become_launcher(*inherited), arguments.cgroup_mode,
                            arguments.cgroup_parent,     asks_pidfd_info()};
  JournalContent content;
  absl::StatusOr<Journal> journal = Journal::open(folder, options.baseline.boot_id, &content);
  if (!journal.ok()) return journal.status();
  absl::StatusOr<UniqueFd> listener =
      *inherited ? (*inherited)->take_listener() : listen_at(socket_path);
  if (!listener.ok()) return listener.status();
  const absl::StatusOr<std::string> executable = own_executable();
  if (!executable.ok()) return executable.status();
  const SystemClock clock;
  ControlLoop loop(std::move(options), *std::move(journal), std::move(content),
                   *std::move(listener), std::move(*inherited).value_or(Inherited()),
                   {*executable, arguments.worker_config, arguments.worker_port_file}, clock);
  if (*inherited) log_info("launcher", "replaced in place", {{"version", version()}});
  if (arguments.ready_fd >= 0) {
    (void)!::write(arguments.ready_fd, "1", 1);
    (void)::close(arguments.ready_fd);
  }
  drop_startup_pages();
  const int code = loop.run([&](const std::string& other, internal::Inheritance inheritance) {
    return replace_process(arguments, *lock, other, std::move(inheritance));
  });
  (void)::unlink(socket_path.c_str());
  return code;
}

}  // namespace

int run_launcher(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == kCanReplace) return 0;
  const absl::StatusOr<Arguments> arguments = parse_arguments(argc, argv);
  if (!arguments.ok()) {
    log_error("launcher", "bad arguments", {{"error", arguments.status()}});
    return kExitUsage;
  }
  const absl::StatusOr<int> code = serve(*arguments);
  if (code.ok()) return *code;
  const absl::Status& status = code.status();
  if (absl::IsAlreadyExists(status) && arguments->worker_config.empty()) return kExitBusy;
  log_error("launcher", "cannot serve", {{"error", status}});
  return kExitFailed;
}

}  // namespace clusterd
