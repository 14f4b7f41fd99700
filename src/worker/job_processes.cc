#include "worker/job_processes.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <set>

#include "worker/frame_socket.h"
#include "worker/launcher/job_end.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

std::pair<std::string, uint32_t> index_of(const v1::AttemptKey& key) {
  return {key.job_id(), key.attempt()};
}

// All children of this process, whichever thread they hang on.
std::vector<pid_t> children_of_this_process() {
  std::vector<pid_t> children;
  const auto close = [](DIR* folder) { (void)::closedir(folder); };
  const std::unique_ptr<DIR, decltype(close)> folder(::opendir("/proc/self/task"), close);
  if (folder == nullptr) return children;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    std::ifstream file(std::string("/proc/self/task/") + entry->d_name + "/children");
    for (pid_t pid = 0; file >> pid;) children.push_back(pid);
  }
  return children;
}

}  // namespace

void JobProcesses::on_started(const internal::LaunchedAttempt& attempt) {
  Held& held = held_[index_of(attempt.key())];
  held.key = attempt.key();
  held.pid = attempt.pid();
}

void JobProcesses::on_descriptors(const internal::FromLauncher& message,
                                  std::vector<UniqueFd> descriptors) {
  const auto count = std::min(descriptors.size(), static_cast<size_t>(message.descriptors_size()));
  for (size_t i = 0; i < count; ++i) {
    const internal::PassedDescriptor& passed = message.descriptors(static_cast<int>(i));
    const auto found = held_.find(index_of(passed.key()));
    if (found == held_.end() || !descriptors[i].valid()) continue;
    Held& held = found->second;
    if (passed.kind() == internal::PassedDescriptor::FIFO) {
      held.fifos.push_back(std::move(descriptors[i]));
    } else if (!held.pidfd.valid()) {
      held.pidfd = std::move(descriptors[i]);
      epoll_event event{.events = EPOLLIN, .data = {.fd = held.pidfd.get()}};
      (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, held.pidfd.get(), &event);
    }
  }
}

void JobProcesses::release(Held& held) {
  // It may be ours even where no launcher's death was seen; of another's child this learns nothing.
  reap(held);
  // The launcher has these open files too: closing alone would leave them in the epoll set.
  if (held.pidfd.valid()) (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, held.pidfd.get(), nullptr);
}

void JobProcesses::on_ended(const v1::AttemptKey& key) {
  const auto found = held_.find(index_of(key));
  if (found != held_.end()) {
    release(found->second);
    held_.erase(found);
  }
  statuses_.erase(index_of(key));
}

void JobProcesses::on_hello(const internal::LauncherHello& hello) {
  std::set<Key> running;
  for (const internal::LaunchedAttempt& attempt : hello.attempts()) {
    if (!attempt.started() || attempt.has_end()) continue;
    running.insert(index_of(attempt.key()));
    on_started(attempt);
  }
  std::vector<v1::AttemptKey> over;
  for (auto& [key, held] : held_) {
    held.fifos.clear();  // the new launcher has opened them, and passes its own
    if (!running.contains(key)) over.push_back(held.key);
  }
  for (const v1::AttemptKey& key : over) on_ended(key);
}

bool JobProcesses::on_readable(int fd) {
  for (auto& [key, held] : held_) {
    if (held.pidfd.get() != fd) continue;
    (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    reap(held);
    return true;
  }
  return false;
}

void JobProcesses::reap(Held& held) {
  int status = 0;
  rusage usage{};
  if (held.was_reaped || ::wait4(held.pid, &status, WNOHANG, &usage) != held.pid) return;
  held.was_reaped = true;
  const internal::ReapedChild child = make_reaped_child(held.pid, status, usage);
  statuses_[index_of(held.key)] = child;
  reaped_.push_back(child);
}

void JobProcesses::on_launcher_lost() {
  for (auto& [key, held] : held_) held.is_orphan = true;
}

bool JobProcesses::has_orphans() const {
  return std::any_of(held_.begin(), held_.end(),
                     [](const auto& entry) { return entry.second.is_orphan; });
}

void JobProcesses::sweep() {
  for (auto& [key, held] : held_) {
    if (held.is_orphan) reap(held);
  }
  reap_session_members();
}

void JobProcesses::reap_session_members() {
  std::set<pid_t> sessions;
  std::set<pid_t> mains;
  for (const auto& [key, held] : held_) {
    if (held.is_orphan) sessions.insert(held.pid);
    mains.insert(held.pid);
  }
  for (const pid_t pid : children_of_this_process()) {
    const auto stat = read_process_stat(pid);
    const bool is_ours = stat && !stat->is_alive() && sessions.contains(stat->session);
    if (is_ours && !mains.contains(pid)) (void)::waitpid(pid, nullptr, WNOHANG);
  }
}

std::vector<internal::ReapedChild> JobProcesses::take_reaped() {
  return std::exchange(reaped_, {});
}

std::vector<JobProcesses::Part> JobProcesses::describe_all() const {
  std::vector<Part> parts(1);
  for (const auto& [key, child] : statuses_) *parts.back().message.add_reaped() = child;
  for (const auto& [key, held] : held_) {
    if (!held.pidfd.valid()) continue;
    if (parts.back().descriptors.size() == FrameSocket::kMaxDescriptors) parts.emplace_back();
    internal::PassedDescriptor* passed = parts.back().message.add_descriptors();
    *passed->mutable_key() = held.key;
    passed->set_kind(internal::PassedDescriptor::PIDFD);
    parts.back().descriptors.push_back(held.pidfd.get());
  }
  return parts;
}

}  // namespace clusterd
