#include "cli/local_cluster.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "cli/child_process.h"
#include "cli/dev_config.h"
#include "client/scheduler_client.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStartTimeout(30);
constexpr seconds kWorkerStopTimeout(30);  // jobs get their signal, grace and KILL
constexpr seconds kStopTimeout(5);

std::string temporary_folder() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  return error ? "/tmp" : folder.string();
}

// Where a pipe costs no inode of a disk; empty: there is no such folder.
std::string memory_folder() {
  constexpr const char* kShared = "/dev/shm";
  return access(kShared, W_OK | X_OK) == 0 ? kShared : "";
}

absl::StatusOr<std::string> make_folder(const fs::path& base, const std::string& name) {
  std::string path = (base / ("clusterd-" + name + "-XXXXXX")).string();
  if (mkdtemp(path.data()) == nullptr) return absl::ErrnoToStatus(errno, path);  // mode 0700
  return path;
}

std::string read_file(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

absl::Status write_file(const std::string& path, const std::string& content) {
  std::ofstream file(path);
  file << content;
  file.close();
  return file ? absl::OkStatus() : absl::InternalError("\"" + path + "\" cannot be written");
}

}  // namespace

std::string LocalCluster::runtime_dir() const {
  return runtime_folder_.empty() ? folder_ + "/run" : runtime_folder_ + "/run";
}

absl::Status LocalCluster::begin() {
  auto folder = make_folder(temporary_folder(), name_);
  if (!folder.ok()) return folder.status();
  folder_ = *std::move(folder);
  if (const std::string memory = memory_folder(); !memory.empty()) {
    auto runtime = make_folder(memory, name_);
    if (runtime.ok()) runtime_folder_ = *std::move(runtime);
  }
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  folder_events_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  inotify_add_watch(folder_events_, folder_.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE);
  // The worker's launcher falls to us when the worker ends, so that we see it end too.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  return absl::OkStatus();
}

absl::Status LocalCluster::start_daemon(pid_t& pid, const std::string& name,
                                        const std::string& config) {
  const std::string file = folder_ + "/" + name + ".toml";
  if (absl::Status status = write_file(file, config); !status.ok()) return status;
  const auto child =
      start_self({name, "--config", file, "--port-file", folder_ + "/" + name + ".ports"});
  if (!child.ok()) return child.status();
  pid = *child;
  return absl::OkStatus();
}

absl::Status LocalCluster::start() {
  absl::Status status =
      start_daemon(scheduler_, "scheduler", dev_scheduler_config(command_, folder_));
  if (!status.ok()) return status;
  const auto ports = wait_for_port_file("scheduler");
  if (!ports.ok()) return ports.status();
  grpc_addr_ = port_file_value(*ports, "grpc");
  http_addr_ = port_file_value(*ports, "http");
  status = start_daemon(worker_, "worker",
                        dev_worker_config(command_, folder_, runtime_dir(), grpc_addr_));
  if (!status.ok()) return status;
  const auto worker_ports = wait_for_port_file("worker");
  if (!worker_ports.ok()) return worker_ports.status();
  return wait_for_worker();
}

absl::StatusOr<std::string> LocalCluster::wait_for_port_file(const std::string& name) {
  const std::string path = folder_ + "/" + name + ".ports";
  const Clock::time_point deadline = Clock::now() + kStartTimeout;
  while (true) {
    std::string content = read_file(path);
    if (!content.empty()) return content;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= left.zero()) return absl::DeadlineExceededError("the " + name + " does not start");
    if (const absl::Status status = wait_for_event(left); !status.ok()) return status;
  }
}

// It listens before it is a member; only then can jobs be started.
absl::Status LocalCluster::wait_for_worker() {
  constexpr milliseconds kRetry(20);
  ClientConfig config;
  config.addr = {grpc_addr_};
  const auto client = SchedulerClient::make(config);
  if (!client.ok()) return client.status();
  const Clock::time_point deadline = Clock::now() + kStartTimeout;
  while (true) {
    const auto workers = (*client)->list_workers();
    if (!workers.ok()) return workers.status();
    for (const v1::Worker& worker : workers->workers()) {
      if (worker.state() == v1::Worker::ALIVE) return absl::OkStatus();
    }
    if (Clock::now() >= deadline) {
      return absl::DeadlineExceededError("the worker does not join the scheduler");
    }
    if (const absl::Status status = wait_for_event(kRetry); !status.ok()) return status;
  }
}

absl::Status LocalCluster::wait_for_event(milliseconds timeout, int done) {
  std::array<pollfd, 3> files = {
      {{signals_, POLLIN, 0}, {folder_events_, POLLIN, 0}, {done, POLLIN, 0}}};
  const int wait = static_cast<int>(timeout.count());  // at most kStartTimeout; -1: for ever
  if (poll(files.data(), files.size(), wait) < 0 && errno != EINTR) {
    return absl::ErrnoToStatus(errno, "poll");
  }
  std::array<char, 4096> ignored{};
  while (read(folder_events_, ignored.data(), ignored.size()) > 0) {
  }
  signalfd_siginfo signal{};
  while (read(signals_, &signal, sizeof signal) > 0) {
    if (signal.ssi_signo != SIGCHLD) return absl::CancelledError("interrupted");
  }
  return look_after_children();
}

absl::Status LocalCluster::look_after_children() {
  absl::Status status;
  while (const auto child = reap_child()) {
    const bool is_scheduler = child->pid == scheduler_;
    if (!is_scheduler && child->pid != worker_) continue;  // an orphan of the worker's
    (is_scheduler ? scheduler_ : worker_) = 0;
    status.Update(absl::InternalError(std::string("the ") +
                                      (is_scheduler ? "scheduler" : "worker") +
                                      " ended by itself: " + describe_wait_status(child->status)));
  }
  return status;
}

absl::Status LocalCluster::wait_for(int done) {
  pollfd file = {done, POLLIN, 0};
  while (true) {
    const absl::Status status = wait_for_event(milliseconds(-1), done);
    if (!status.ok()) return status;
    if (poll(&file, 1, 0) > 0) return absl::OkStatus();
  }
}

absl::Status LocalCluster::wait_for_signal() {
  const absl::Status status = wait_for(-1);
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

void LocalCluster::stop_daemon(pid_t& pid, seconds timeout) {
  if (pid == 0) return;
  kill(pid, SIGTERM);
  const Clock::time_point deadline = Clock::now() + timeout;
  while (pid != 0) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= left.zero()) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
      pid = 0;
      return;
    }
    // Further signals of the impatient change nothing: the jobs are being stopped already.
    (void)wait_for_event(left);
  }
}

void LocalCluster::wait_for_orphans() {
  const Clock::time_point deadline = Clock::now() + kStopTimeout;
  while (waitpid(-1, nullptr, WNOHANG) >= 0 || errno == EINTR) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= left.zero()) return;
    (void)wait_for_event(left);
  }
}

void LocalCluster::end() {
  stop_daemon(worker_, kWorkerStopTimeout);
  stop_daemon(scheduler_, kStopTimeout);
  wait_for_orphans();
  if (folder_.empty()) return;
  for (const std::string& folder : {folder_, runtime_folder_}) {
    std::error_code error;
    if (!folder.empty()) fs::remove_all(folder, error);
    if (!error) continue;
    std::fprintf(stderr, "clusterd: %s is left behind: %s\n", folder.c_str(),
                 error.message().c_str());
  }
  close(signals_);
  close(folder_events_);
}

}  // namespace clusterd
