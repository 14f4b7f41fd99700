#include "worker/launcher/companion.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "worker/process_info.h"
#include "worker/spawn_setup.h"

namespace clusterd {
namespace {

constexpr std::chrono::milliseconds kFirstBackoff{100};
constexpr std::chrono::milliseconds kLongestBackoff{10'000};
// One that ran for so long is started again at once.
constexpr std::chrono::seconds kLongRun{10};

CompanionStarted start(const CompanionOptions& options, const ChildBaseline& baseline) {
  SpawnSetup setup;
  setup.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  setup.close_from(STDERR_FILENO + 1);
  setup.lead_session();
  sigset_t all;
  (void)::sigfillset(&all);
  setup.handle_by_default(all);
  std::vector<std::string> words = {options.executable, "worker", "--config", options.config_file};
  if (!options.port_file.empty()) {
    words.insert(words.end(), {"--port-file", options.port_file});
  }
  pid_t pid = 0;
  const int error = setup.start(options.executable, std::move(words), &pid);
  if (error != 0) {
    return {absl::InternalError(absl::StrCat(options.executable, ": ", std::strerror(error)))};
  }
  (void)::prlimit(pid, RLIMIT_NOFILE, &baseline.open_files, nullptr);
  if (!baseline.oom_score_adj.empty()) {
    std::ofstream(absl::StrCat("/proc/", pid, "/oom_score_adj")) << baseline.oom_score_adj;
  }
  return {pid};
}

}  // namespace

std::optional<BootTime> Companion::start_due() const {
  if (!is_wanted() || is_stopping_ || state_ != State::kDown) return std::nullopt;
  return start_at_;
}

std::function<CompanionStarted()> Companion::begin_start(const ChildBaseline& baseline) {
  state_ = State::kStarting;
  return [options = options_, baseline] { return start(options, baseline); };
}

void Companion::on_started(const CompanionStarted& started, BootTime now) {
  if (started.pid.ok()) {
    adopt(*started.pid, now);
    if (signal_ != 0) (void)::kill(pid_, std::exchange(signal_, 0));
    return;
  }
  log_error("launcher", "the worker cannot be started", {{"error", started.pid.status()}});
  state_ = State::kDown;
  retry_later(now);
}

void Companion::adopt(pid_t pid, BootTime now) {
  state_ = State::kRunning;
  pid_ = pid;
  pidfd_ = open_pidfd(pid);
  started_at_ = now;
}

void Companion::on_ended(int wait_status, bool holds_job, BootTime now) {
  state_ = State::kDown;
  pid_ = 0;
  pidfd_.reset();
  const int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
  if (is_stopping_) {
    exit_code_ = code;
    return;
  }
  log_warning("launcher", "the worker has ended", {{"code", code}});
  if (!has_served_ && !holds_job && WIFEXITED(wait_status)) {
    is_stopping_ = true;  // it would not serve the next time either
    exit_code_ = code == 0 ? 1 : code;
    return;
  }
  if (now - started_at_ >= kLongRun) backoff_ = backoff_.zero();
  retry_later(now);
}

void Companion::retry_later(BootTime now) {
  start_at_ = now + backoff_;
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
}

void Companion::on_signal(int signal) {
  if (signal == SIGTERM || signal == SIGINT) is_stopping_ = true;
  if (state_ == State::kRunning) (void)::kill(pid_, signal);
  if (state_ == State::kStarting) signal_ = signal;
}

}  // namespace clusterd
