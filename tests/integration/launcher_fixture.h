#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "worker/launcher_connection.h"

namespace clusterd {

// A data folder with a launcher, and what this process, as its worker, has heard of it.
//
// The connection's thread writes, the test waits. The destructor kills what is left of jobs and
// launcher.
class LauncherFixture {
 public:
  // `cgroups`: which the launcher uses, as LauncherOptions has it.
  explicit LauncherFixture(std::string cgroups = "auto");
  ~LauncherFixture();
  LauncherFixture(const LauncherFixture&) = delete;
  LauncherFixture& operator=(const LauncherFixture&) = delete;

  // Waits until a launcher has answered. `executable`: what the worker would start as one.
  void connect(const std::string& executable = "");
  void disconnect();  // as the death of a worker is to the launcher
  void kill_launcher();
  void leave();  // as a worker does that stops in order; waits until the launcher is gone
  [[nodiscard]] pid_t launcher_pid() const;

  // A plan that runs `script` by /bin/sh.
  [[nodiscard]] internal::LaunchPlan plan(const std::string& job_id, const std::string& script);
  void launch(const internal::LaunchPlan& plan);
  void launch(const std::string& job_id, const std::string& script) {
    launch(plan(job_id, script));
  }
  void stop(const std::string& job_id);
  void signal(const std::string& job_id, int number);
  void fence(const std::string& job_id);
  void forget(const std::string& job_id);
  void send(internal::ToLauncher message) { connection_->send(std::move(message)); }

  // Fail the test where it does not come within 30 s.
  // Counts ends, and notes nothing else of them, until so many more have come.
  void send_and_wait_ends(internal::ToLauncher message, size_t count);
  internal::LaunchedAttempt wait_end(const std::string& job_id);
  internal::LaunchedAttempt wait_start(const std::string& job_id);
  void wait_until(const std::function<bool()>& condition);
  void wait_output(const std::string& job_id, const std::string& text);
  [[nodiscard]] bool has_ended(const std::string& job_id);
  // Inside wait_until only.
  [[nodiscard]] bool is_suspended(const std::string& job_id);
  // Inside wait_until only: of the merged stream, as last told.
  [[nodiscard]] uint64_t length_of(const std::string& job_id) { return lengths_[job_id]; }
  [[nodiscard]] bool was_disconnected() const { return !disconnection_.ok(); }
  [[nodiscard]] absl::Status disconnection();
  [[nodiscard]] internal::LauncherHello hello();
  // Connects as a worker of another executable, a copy of the launcher's, and waits until the
  // launcher has become that one.
  void upgrade_launcher();

  // The launcher can enforce this limit ("memory_bytes") on this machine.
  [[nodiscard]] bool enforces(const std::string& limit);
  [[nodiscard]] const std::string& cgroup_mode() const { return cgroup_mode_; }
  // Folders of cgroups that launchers of this fixture have made and not removed.
  [[nodiscard]] std::vector<std::string> cgroups() const;

  [[nodiscard]] std::string output(const std::string& job_id,
                                   v1::OutputStream::Stream stream = v1::OutputStream::MERGED);
  [[nodiscard]] static v1::AttemptKey key(const std::string& job_id);
  // Processes of the session that are no zombies.
  [[nodiscard]] static size_t living_of_session(pid_t session);
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string data_dir() const { return folder_ + "/data"; }
  [[nodiscard]] const std::string& runtime_dir() const { return runtime_dir_; }

 private:
  void note(const internal::LaunchedAttempt& attempt);

  const std::string cgroup_mode_;
  std::string folder_;
  std::string runtime_dir_;  // on a tmpfs where there is one, as /run of most machines
  SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, internal::LaunchedAttempt> attempts_;  // guarded by mutex_, as all below
  std::map<std::string, uint64_t> lengths_;
  size_t ends_ = 0;     // that were told
  size_t wake_at_ = 0;  // of them, before anybody is woken by news
  std::optional<internal::LauncherHello> hello_;
  absl::Status disconnection_;
  size_t connections_ = 0;
  int copies_ = 0;
  std::unique_ptr<LauncherConnection> connection_;
};

}  // namespace clusterd
