#include "cli/child_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/detail/throw_error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <cerrno>
#include <filesystem>

#include "core/signal_names.h"

namespace clusterd {
namespace {

constexpr char kSelf[] = "/proc/self/exe";

// Runs between fork and execve, as Boost.Process's initialisers do: only what is safe there.
struct OwnGroup {
  pid_t parent;

  template <typename Launcher>
  boost::system::error_code on_exec_setup(Launcher& /*launcher*/,
                                          const boost::filesystem::path& /*executable*/,
                                          const char* const*& /*arguments*/) const {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    // We may have died before it was set.
    return {getppid() == parent ? 0 : ESRCH, boost::system::system_category()};
  }
};

}  // namespace

absl::StatusOr<pid_t> start_self(const std::vector<std::string>& arguments) {
  std::error_code no_link;
  const std::filesystem::path self = std::filesystem::read_symlink(kSelf, no_link);
  boost::asio::io_context context;
  boost::system::error_code error;
  boost::process::v2::posix::default_launcher launcher;
  auto process =
      launcher(context, error, no_link ? kSelf : self.string(), arguments, OwnGroup{getpid()});
  if (error) {
    return absl::InternalError("starting clusterd " + arguments.front() + ": " + error.message());
  }
  const pid_t pid = process.id();
  process.detach();  // reap_child() takes its end
  return pid;
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
