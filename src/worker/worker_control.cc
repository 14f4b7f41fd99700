#include "worker/worker_control.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "worker/unique_fd.h"
#include "worker/worker_files.h"

namespace clusterd {
namespace {

constexpr std::chrono::hours kForEver(24 * 365);

struct RunningWorker {
  WorkerState state;
  UniqueFd pidfd;
};

bool is_same_file(const struct stat& left, const struct stat& right) {
  return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

// The process has the lock file of `data_dir` open, so its number is not another's by now.
absl::StatusOr<bool> has_lock_open(pid_t pid, const std::string& data_dir) {
  struct stat lock {};
  if (::stat((data_dir + "/worker.lock").c_str(), &lock) != 0) return false;
  const std::string folder = absl::StrCat("/proc/", pid, "/fd");
  std::error_code error;
  std::filesystem::directory_iterator files(folder, error);
  if (error == std::errc::permission_denied) {
    return absl::PermissionDeniedError(
        absl::StrCat("the worker of ", data_dir, " is another user's process ", pid));
  }
  for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
    struct stat file {};
    if (::stat(files->path().c_str(), &file) == 0 && is_same_file(file, lock)) return true;
  }
  return false;
}

absl::StatusOr<RunningWorker> find_worker(const std::string& data_dir) {
  auto state = read_state(data_dir);
  if (!state.ok()) return state.status();
  RunningWorker worker{*std::move(state), {}};
  worker.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, worker.state.pid, 0)));
  auto is_it = has_lock_open(worker.state.pid, data_dir);
  if (!is_it.ok()) return is_it.status();
  if (worker.pidfd.valid() && *is_it) return worker;
  return absl::NotFoundError("no worker runs on data_dir " + data_dir);
}

absl::Status send_signal(const RunningWorker& worker, int signal) {
  if (::syscall(SYS_pidfd_send_signal, worker.pidfd.get(), signal, nullptr, 0) == 0) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("signal to process ", worker.state.pid));
}

enum class Seen { kEnd, kChange, kNothing };

// Waits for the end of the process, or for something in `changes`, until `deadline`.
Seen wait_for(const RunningWorker& worker, const UniqueFd& changes, BootTime deadline) {
  std::array<pollfd, 2> waited{{{worker.pidfd.get(), POLLIN, 0}, {changes.get(), POLLIN, 0}}};
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SystemClock().now().boot);
    if (left.count() <= 0) return Seen::kNothing;
    const auto milliseconds = std::min<int64_t>(left.count(), std::numeric_limits<int>::max());
    const int count = ::poll(waited.data(), waited.size(), static_cast<int>(milliseconds));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Seen::kNothing;
    return (waited[0].revents & POLLIN) != 0 ? Seen::kEnd : Seen::kChange;
  }
}

void drain(const UniqueFd& changes) {
  std::array<char, 4096> events{};
  while (::read(changes.get(), events.data(), events.size()) > 0) {
  }
}

}  // namespace

absl::Status upgrade_worker(const std::string& data_dir, std::chrono::milliseconds limit) {
  // Watched from before the signal, so that no word is missed.
  const UniqueFd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!changes.valid() || ::inotify_add_watch(changes.get(), data_dir.c_str(), IN_MOVED_TO) < 0) {
    return absl::ErrnoToStatus(errno, data_dir);
  }
  const auto worker = find_worker(data_dir);
  if (!worker.ok()) return worker.status();
  if (auto status = send_signal(*worker, SIGUSR2); !status.ok()) return status;
  const BootTime deadline = SystemClock().now().boot + limit;
  while (true) {
    const Seen seen = wait_for(*worker, changes, deadline);
    if (seen == Seen::kEnd) return absl::InternalError("the worker has ended; see its log");
    if (seen == Seen::kNothing) {
      return absl::DeadlineExceededError(
          "the worker has not said that it is replaced; see its log");
    }
    drain(changes);
    const auto state = read_state(data_dir);
    if (!state.ok() || state->serial == worker->state.serial) continue;
    if (state->error.empty()) return absl::OkStatus();
    return absl::InternalError("the worker goes on as it is: " + state->error);
  }
}

absl::Status end_worker(const std::string& data_dir, WorkerEnd end,
                        std::optional<std::chrono::milliseconds> limit) {
  const auto worker = find_worker(data_dir);
  if (!worker.ok()) return worker.status();
  const int signal = end == WorkerEnd::kDrain ? SIGQUIT : SIGUSR1;
  if (auto status = send_signal(*worker, signal); !status.ok()) return status;
  const UniqueFd nothing;
  const BootTime deadline = SystemClock().now().boot + limit.value_or(kForEver);
  if (wait_for(*worker, nothing, deadline) == Seen::kEnd) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("the worker, process ", worker->state.pid, ", still runs"));
}

}  // namespace clusterd
