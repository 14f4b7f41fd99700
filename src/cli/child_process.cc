#include "cli/child_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "core/signal_names.h"

namespace clusterd {
namespace {

constexpr char kSelf[] = "/proc/self/exe";
constexpr int kExecFailed = 127;

[[noreturn]] void become(char* const* argv, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() == parent) execv(kSelf, argv);
  _exit(kExecFailed);
}

}  // namespace

absl::StatusOr<pid_t> start_self(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"clusterd"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return absl::ErrnoToStatus(errno, "starting clusterd " + arguments.front());
  if (child == 0) become(argv.data(), parent);
  return child;
}

std::optional<EndedChild> reap_child() {
  EndedChild child{};
  child.pid = waitpid(-1, &child.status, WNOHANG);
  if (child.pid <= 0) return std::nullopt;
  return child;
}

std::string describe_wait_status(int status) {
  if (WIFSIGNALED(status)) return "signal " + signal_name(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace clusterd
