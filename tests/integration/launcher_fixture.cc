#include "integration/launcher_fixture.h"

#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/proto_time.h"
#include "worker/data_dir_name.h"
#include "worker/executable_file.h"
#include "worker/output_log.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kPatience{30};

// Processes whose command line has `text` in it.
std::vector<pid_t> processes_with(const std::string& text) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == ::getpid()) continue;
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();  // does not throw where the process ends meanwhile
    const std::string line = content.str();
    if (line.find(text) != std::string::npos) found.push_back(pid);
  }
  return found;
}

std::string new_folder_in(const std::string& parent) {
  std::string name = parent + "/launcher-test-XXXXXX";
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  return name;
}

}  // namespace

LauncherFixture::LauncherFixture(std::string cgroups) : cgroup_mode_(std::move(cgroups)) {
  const char* base = std::getenv("TMPDIR");
  const std::string temporary = base == nullptr ? "/tmp" : base;
  folder_ = new_folder_in(temporary);
  REQUIRE(::mkdir(data_dir().c_str(), 0700) == 0);
  constexpr const char* kTmpfs = "/dev/shm";
  runtime_dir_ = new_folder_in(::access(kTmpfs, W_OK) == 0 ? kTmpfs : temporary);
}

LauncherFixture::~LauncherFixture() {
  disconnect();
  for (const pid_t pid : processes_with(folder_)) {
    (void)::kill(pid, SIGKILL);
    (void)::waitpid(pid, nullptr, 0);
  }
  for (const auto& [job_id, attempt] : attempts_) {
    if (!attempt.has_end() && attempt.pid() > 0) (void)::kill(-attempt.pid(), SIGKILL);
  }
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  for (int i = 0; i < 100 && !cgroups().empty(); ++i) {
    std::vector<std::string> folders = cgroups();
    std::reverse(folders.begin(), folders.end());  // those below first
    for (const std::string& cgroup : folders) {
      std::ofstream(cgroup + "/cgroup.kill") << "1";
      (void)::rmdir(cgroup.c_str());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  std::filesystem::remove_all(runtime_dir_, ignored);
}

void LauncherFixture::upgrade_launcher() {
  const std::string copy = folder_ + "/launcher-" + std::to_string(++copies_);
  std::filesystem::copy_file(CLUSTERD_TEST_LAUNCHER, copy);
  disconnect();
  connect(copy);
  wait_until([&] { return hello_ && hello_->executable_id() == executable_id(copy); });
}

void LauncherFixture::connect(const std::string& executable) {
  LauncherObserver observer;
  observer.on_connected = [this](internal::LauncherHello hello) {
    const std::lock_guard lock(mutex_);
    for (const internal::LaunchedAttempt& attempt : hello.attempts()) note(attempt);
    hello_ = std::move(hello);
    ++connections_;
    changed_.notify_all();
  };
  observer.on_message = [this](internal::FromLauncher message) {
    const std::lock_guard lock(mutex_);
    const bool only_counts = wake_at_ > 0;
    for (const auto* list : {&message.started(), &message.ended(), &message.suspension()}) {
      if (only_counts) break;
      for (const internal::LaunchedAttempt& attempt : *list) note(attempt);
    }
    for (const internal::OutputGrowth& growth : message.growth()) {
      lengths_[growth.key().job_id()] = growth.output().total_bytes();
    }
    ends_ += static_cast<size_t>(message.ended_size());
    if (ends_ >= wake_at_) changed_.notify_all();
  };
  observer.on_disconnected = [this](absl::Status status) {
    const std::lock_guard lock(mutex_);
    disconnection_ = std::move(status);
    hello_.reset();
    changed_.notify_all();
  };
  connection_ = std::make_unique<LauncherConnection>(
      LauncherOptions{executable.empty() ? CLUSTERD_TEST_LAUNCHER : executable, data_dir(),
                      runtime_dir(), 0, cgroup_mode_},
      clock_, std::move(observer));
  REQUIRE(connection_->start().ok());
  wait_until([this] { return hello_.has_value(); });
}

void LauncherFixture::disconnect() {
  connection_.reset();
  const std::lock_guard lock(mutex_);
  hello_.reset();
}

void LauncherFixture::note(const internal::LaunchedAttempt& attempt) {
  internal::LaunchedAttempt& known = attempts_[attempt.key().job_id()];
  if (known.has_end() && !attempt.has_end()) FAIL_CHECK("an ended attempt came back");
  known = attempt;
}

pid_t LauncherFixture::launcher_pid() const {
  const std::vector<pid_t> pids = processes_with("launcher" + std::string(1, '\0') + "--data-dir" +
                                                 std::string(1, '\0') + folder_);
  return pids.empty() ? -1 : pids.front();
}

void LauncherFixture::kill_launcher() {
  size_t before = 0;
  {
    const std::lock_guard lock(mutex_);
    before = connections_;
  }
  const pid_t pid = launcher_pid();
  REQUIRE(pid > 0);
  REQUIRE(::kill(pid, SIGKILL) == 0);
  if (connection_ != nullptr) wait_until([this, before] { return connections_ > before; });
}

void LauncherFixture::leave() {
  const pid_t pid = launcher_pid();
  REQUIRE(pid > 0);
  const UniqueFd pidfd = open_pidfd(pid);
  internal::ToLauncher message;
  message.set_leave(true);
  send(std::move(message));
  pollfd gone{pidfd.get(), POLLIN, 0};
  REQUIRE(::poll(&gone, 1, 30'000) == 1);
}

internal::LaunchPlan LauncherFixture::plan(const std::string& job_id, const std::string& script) {
  internal::LaunchPlan plan;
  *plan.mutable_key() = key(job_id);
  plan.set_executable("/bin/sh");
  for (const std::string& word : {std::string("sh"), std::string("-c"), script}) {
    plan.add_argv(word);
  }
  plan.add_environment("PATH=/usr/bin:/bin");
  plan.set_working_folder(folder_);
  plan.set_stop_signal(SIGTERM);
  *plan.mutable_stop_grace() = to_proto(std::chrono::seconds(10));
  plan.set_output_mode(v1::OutputSpec::MERGED);
  return plan;
}

void LauncherFixture::launch(const internal::LaunchPlan& plan) {
  internal::ToLauncher message;
  *message.add_launch() = plan;
  send(std::move(message));
}

void LauncherFixture::stop(const std::string& job_id) {
  internal::ToLauncher message;
  *message.add_stop() = key(job_id);
  send(std::move(message));
}

void LauncherFixture::signal(const std::string& job_id, int number) {
  internal::ToLauncher message;
  internal::SignalOrder* order = message.add_signal();
  *order->mutable_key() = key(job_id);
  order->set_signal(number);
  send(std::move(message));
}

void LauncherFixture::fence(const std::string& job_id) {
  internal::ToLauncher message;
  *message.add_fence() = key(job_id);
  send(std::move(message));
}

void LauncherFixture::forget(const std::string& job_id) {
  internal::ToLauncher message;
  *message.add_forget() = key(job_id);
  send(std::move(message));
}

void LauncherFixture::send_and_wait_ends(internal::ToLauncher message, size_t count) {
  {
    const std::lock_guard lock(mutex_);
    wake_at_ = ends_ + count;
  }
  send(std::move(message));
  wait_until([this] { return ends_ >= wake_at_; });
  const std::lock_guard lock(mutex_);
  wake_at_ = 0;
}

void LauncherFixture::wait_until(const std::function<bool()>& condition) {
  std::unique_lock lock(mutex_);
  REQUIRE(changed_.wait_for(lock, kPatience, condition));
}

internal::LaunchedAttempt LauncherFixture::wait_end(const std::string& job_id) {
  wait_until([&] { return attempts_.contains(job_id) && attempts_[job_id].has_end(); });
  const std::lock_guard lock(mutex_);
  return attempts_[job_id];
}

internal::LaunchedAttempt LauncherFixture::wait_start(const std::string& job_id) {
  wait_until([&] { return attempts_.contains(job_id) && attempts_[job_id].started(); });
  const std::lock_guard lock(mutex_);
  return attempts_[job_id];
}

void LauncherFixture::wait_output(const std::string& job_id, const std::string& text) {
  std::unique_lock lock(mutex_);
  // Growth wakes it; the file may be there before the news.
  REQUIRE(changed_.wait_for(lock, kPatience,
                            [&] { return output(job_id).find(text) != std::string::npos; }));
}

bool LauncherFixture::has_ended(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  return attempts_.contains(job_id) && attempts_[job_id].has_end();
}

bool LauncherFixture::is_suspended(const std::string& job_id) {
  return attempts_.contains(job_id) && attempts_[job_id].suspended();
}

absl::Status LauncherFixture::disconnection() {
  const std::lock_guard lock(mutex_);
  return disconnection_;
}

internal::LauncherHello LauncherFixture::hello() {
  const std::lock_guard lock(mutex_);
  return hello_.value_or(internal::LauncherHello());
}

bool LauncherFixture::enforces(const std::string& limit) {
  const internal::LauncherHello launcher = hello();
  return launcher.enforces_limits() &&
         std::none_of(launcher.unenforced_limits().begin(), launcher.unenforced_limits().end(),
                      [&](const auto& unenforced) { return unenforced.field() == limit; });
}

std::vector<std::string> LauncherFixture::cgroups() const {
  const std::string name = "clusterd-" + data_dir_name(data_dir());
  std::vector<std::string> found;
  const auto options = std::filesystem::directory_options::skip_permission_denied;
  std::error_code ignored;
  for (std::filesystem::recursive_directory_iterator entry("/sys/fs/cgroup", options, ignored), end;
       entry != end; entry.increment(ignored)) {
    const std::string path = entry->path();
    if (path.find(name) != std::string::npos && entry->is_directory(ignored)) found.push_back(path);
  }
  return found;
}

std::string LauncherFixture::output(const std::string& job_id, v1::OutputStream::Stream stream) {
  auto reader = OutputReader::open(output_folder(data_dir(), key(job_id)), stream);
  REQUIRE(reader.ok());
  std::string all;
  while (true) {
    const auto bytes = reader->read(all.size(), 1 << 20);
    REQUIRE(bytes.ok());
    if (bytes->data.empty()) return all;
    all += bytes->data;
  }
}

size_t LauncherFixture::living_of_session(pid_t session) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    const auto stat = pid > 0 ? read_process_stat(pid) : std::nullopt;
    if (stat && stat->session == session && stat->is_alive()) ++count;
  }
  return count;
}

v1::AttemptKey LauncherFixture::key(const std::string& job_id) {
  v1::AttemptKey key;
  key.set_job_id(job_id);
  key.set_attempt(1);
  return key;
}

}  // namespace clusterd
