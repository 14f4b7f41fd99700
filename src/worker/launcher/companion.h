#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "worker/launcher/spawn.h"
#include "worker/unique_fd.h"

namespace clusterd {

// How the worker is started; empty `config_file`: not by this process.
struct CompanionOptions {
  std::string executable;
  std::string config_file;
  std::string port_file;  // empty: none
};

// What became of a start of the worker.
struct CompanionStarted {
  absl::StatusOr<pid_t> pid;
};

// The worker process of a launcher that is the first process of a container: the launcher starts
// it, starts it again when it ends, passes signals on to it, and ends when it has ended in order.
//
// Owned by the control loop; its thread only, but for start(), which blocks.
class Companion {
 public:
  explicit Companion(CompanionOptions options) : options_(std::move(options)) {}

  [[nodiscard]] bool is_wanted() const { return !options_.config_file.empty(); }
  [[nodiscard]] const CompanionOptions& options() const { return options_; }
  // Its process; 0: there is none.
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }

  // When it is to be started next; absent: it runs, is being started, or is not to run any more.
  [[nodiscard]] std::optional<BootTime> start_due() const;
  // The start, for a thread that may block.
  [[nodiscard]] std::function<CompanionStarted()> begin_start(const ChildBaseline& baseline);
  void on_started(const CompanionStarted& started, BootTime now);
  // One that an earlier executable of this process had started.
  void adopt(pid_t pid, BootTime now);
  // It has greeted: its configuration is good.
  void on_greeted() { has_served_ = true; }
  // It is about to end in order, and not to be started again.
  void on_leave() { is_stopping_ = true; }
  // It ended, as wait(2) says. `holds_job`: something would end with this process.
  void on_ended(int wait_status, bool holds_job, BootTime now);

  // SIGTERM and SIGINT end it for good; all are passed on.
  void on_signal(int signal);

  // True when it has ended and is not to be started again.
  [[nodiscard]] bool is_over() const {
    return is_wanted() && is_stopping_ && state_ == State::kDown;
  }
  // Then: what this process is to exit with.
  [[nodiscard]] int exit_code() const { return exit_code_; }

 private:
  enum class State { kDown, kStarting, kRunning };

  void retry_later(BootTime now);

  CompanionOptions options_;
  State state_ = State::kDown;
  pid_t pid_ = 0;
  UniqueFd pidfd_;
  bool has_served_ = false;
  bool is_stopping_ = false;
  int signal_ = 0;  // came while it was being started
  int exit_code_ = 0;
  BootTime started_at_{};
  BootTime start_at_{};
  std::chrono::milliseconds backoff_{0};
};

}  // namespace clusterd
