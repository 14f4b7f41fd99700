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

// Not each so often: reading them takes some files.
constexpr std::chrono::milliseconds kSweepInterval{500};
constexpr std::chrono::milliseconds kRareSweepInterval{5'000};

bool is_own_child(pid_t pid) {
  const auto stat = read_process_stat(pid);
  return stat && stat->parent == ::getpid();
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
  Held& held = hold(attempt);
  const auto early = early_fifos_.find(index_of(attempt.key()));
  if (early == early_fifos_.end()) return;
  for (UniqueFd& fifo : early->second) held.fifos.push_back(std::move(fifo));
  early_fifos_.erase(early);
}

void JobProcesses::on_early_fifos(const internal::FromLauncher& message,
                                  std::vector<UniqueFd> descriptors) {
  const auto count = std::min(descriptors.size(), static_cast<size_t>(message.descriptors_size()));
  for (size_t i = 0; i < count; ++i) {
    const internal::PassedDescriptor& passed = message.descriptors(static_cast<int>(i));
    early_fifos_[index_of(passed.key())].push_back(std::move(descriptors[i]));
  }
}

JobProcesses::Held& JobProcesses::hold(const internal::LaunchedAttempt& attempt) {
  Held& held = held_[index_of(attempt.key())];
  if (held.pid != 0 && held.pid != attempt.pid()) {  // its archive command has begun
    release(held);
    held = Held{};
    statuses_.erase(index_of(attempt.key()));
  }
  held.key = attempt.key();
  held.pid = attempt.pid();
  return held;
}

void JobProcesses::adopt(Held& held) {
  held.is_orphan = true;
  was_orphaned_ = true;
  // Where the launcher has reaped it and another process got the number: of what is no child of
  // ours reap() learns nothing.
  if (!held.pidfd.valid() && held.pid > 0) held.pidfd = open_pidfd(held.pid);
  watch(held);
}

// While the launcher lives it reaps them, and this process is not woken by their ends.
void JobProcesses::watch(const Held& held) {
  if (!held.is_orphan || !held.pidfd.valid()) return;
  epoll_event event{.events = EPOLLIN, .data = {.fd = held.pidfd.get()}};
  (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, held.pidfd.get(), &event);
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
      watch(held);
    }
  }
}

void JobProcesses::release(Held& held) {
  // It may be ours even where no launcher's death was seen; of another's child this learns nothing.
  reap(held);
  // The launcher has these open files too: closing alone would leave them in the epoll set.
  if (!held.is_orphan || !held.pidfd.valid()) return;
  (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, held.pidfd.get(), nullptr);
}

void JobProcesses::on_ended(const v1::AttemptKey& key) {
  const auto found = held_.find(index_of(key));
  if (found != held_.end()) {
    release(found->second);
    held_.erase(found);
  }
  early_fifos_.erase(index_of(key));
  statuses_.erase(index_of(key));
}

void JobProcesses::on_hello(const internal::LauncherHello& hello) {
  std::set<Key> running;
  for (const internal::LaunchedAttempt& attempt : hello.attempts()) {
    if (!attempt.started() || attempt.has_end()) continue;
    running.insert(index_of(attempt.key()));
    // A process that has replaced itself in place keeps the children that had fallen to it.
    if (Held& held = hold(attempt); is_own_child(held.pid)) adopt(held);
  }
  early_fifos_.clear();  // what was started of these is among them, and opened again
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
  if (held.pid <= 0 || held.was_reaped) return;
  if (::wait4(held.pid, &status, WNOHANG, &usage) != held.pid) return;
  held.was_reaped = true;
  const internal::ReapedChild child = make_reaped_child(held.pid, status, usage);
  statuses_[index_of(held.key)] = child;
  reaped_.push_back(child);
}

void JobProcesses::on_launcher_lost() {
  was_orphaned_ = true;
  for (auto& [key, held] : held_) adopt(held);
}

std::optional<std::chrono::milliseconds> JobProcesses::sweep_interval() const {
  if (!was_orphaned_) return std::nullopt;
  const bool has_orphans = std::any_of(held_.begin(), held_.end(),
                                       [](const auto& entry) { return entry.second.is_orphan; });
  return has_orphans ? kSweepInterval : kRareSweepInterval;
}

void JobProcesses::sweep(pid_t launcher, bool knows_all) {
  for (auto& [key, held] : held_) {
    if (held.is_orphan) reap(held);
  }
  reap_remains(launcher, knows_all);
}

void JobProcesses::reap_remains(pid_t launcher, bool knows_all) {
  std::set<pid_t> sessions;
  std::set<pid_t> mains;
  for (const auto& [key, held] : held_) {
    if (held.is_orphan) sessions.insert(held.pid);
    mains.insert(held.pid);
  }
  const pid_t own_session = ::getsid(0);  // no job's process is in it
  const std::vector<pid_t> children = children_of_this_process();
  // Where the launcher has died meanwhile, jobs that it has told nobody of may be among them.
  const auto stat_of_launcher = launcher > 0 ? read_process_stat(launcher) : std::nullopt;
  if (launcher > 0 && !(stat_of_launcher && stat_of_launcher->is_alive())) knows_all = false;
  for (const pid_t pid : children) {
    if (pid == launcher || mains.contains(pid)) continue;
    const auto stat = read_process_stat(pid);
    if (!stat || stat->is_alive() || stat->session == own_session) continue;
    if (knows_all || sessions.contains(stat->session)) (void)::waitpid(pid, nullptr, WNOHANG);
  }
}

void JobProcesses::inherit(Inherited& inherited) {
  for (const auto& descriptor : inherited.message().descriptors()) {
    const internal::PassedDescriptor& what = descriptor.what();
    UniqueFd fd = inherited.take(descriptor.number());
    if (!fd.valid()) continue;
    Held& held = held_[index_of(what.key())];
    held.key = what.key();
    if (what.pid() > 0) held.pid = what.pid();
    if (what.kind() == internal::PassedDescriptor::FIFO) {
      held.fifos.push_back(std::move(fd));
      continue;
    }
    held.pidfd = std::move(fd);
    if (is_own_child(held.pid)) adopt(held);
  }
}

void JobProcesses::bequeath(KeptDescriptors* kept, internal::Inheritance* inheritance) const {
  const auto add = [&](const Held& held, const UniqueFd& fd) {
    kept->keep(fd.get());
    internal::Inheritance::Descriptor* descriptor = inheritance->add_descriptors();
    descriptor->set_number(fd.get());
    *descriptor->mutable_what()->mutable_key() = held.key;
    descriptor->mutable_what()->set_pid(held.pid);
    return descriptor->mutable_what();
  };
  for (const auto& [key, held] : held_) {
    if (held.was_reaped) continue;
    if (held.pidfd.valid()) add(held, held.pidfd)->set_kind(internal::PassedDescriptor::PIDFD);
    for (const UniqueFd& fifo : held.fifos) {
      add(held, fifo)->set_kind(internal::PassedDescriptor::FIFO);
    }
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
    passed->set_pid(held.pid);
    parts.back().descriptors.push_back(held.pidfd.get());
  }
  return parts;
}

}  // namespace clusterd
