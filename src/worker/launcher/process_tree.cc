#include "worker/launcher/process_tree.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <memory>
#include <set>

#include "worker/process_info.h"

namespace clusterd {
namespace {

std::map<pid_t, ProcessStat> read_all_processes() {
  std::map<pid_t, ProcessStat> all;
  const auto close = [](DIR* folder) { (void)::closedir(folder); };
  const std::unique_ptr<DIR, decltype(close)> folder(::opendir("/proc"), close);
  if (folder == nullptr) return all;
  while (const dirent* entry = ::readdir(folder.get())) {
    const char* name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name, name + std::strlen(name), pid);
    if (error != std::errc() || *end != '\0') continue;
    if (const auto stat = read_process_stat(pid)) all.emplace(pid, *stat);
  }
  return all;
}

}  // namespace

ProcessTree::ProcessTree(pid_t main_pid, uint64_t start_ticks, JobCgroup* cgroup)
    : main_pid_(main_pid), cgroup_(cgroup), sessions_{{main_pid, start_ticks}} {}

std::vector<TreeMember> ProcessTree::scan_cgroup() const {
  std::vector<TreeMember> living;
  if (cgroup_->is_empty()) return living;
  const std::vector<pid_t> members = cgroup_->members();
  for (const pid_t pid : members) {
    const auto stat = read_process_stat(pid);
    if (stat && stat->is_alive()) living.push_back({pid, stat->start_ticks, stat->group});
  }
  if (!living.empty() || cgroup_->is_empty()) return living;
  // Each may have left a child before it ended, which nobody has seen yet.
  for (const pid_t pid : members) living.push_back({pid, 0, 0});
  return living;
}

std::vector<TreeMember> ProcessTree::scan() {
  if (cgroup_ != nullptr) return scan_cgroup();
  const std::map<pid_t, ProcessStat> all = read_all_processes();
  // A number that has another owner now is not our session any more.
  std::erase_if(sessions_, [&all](const auto& session) {
    const auto leader = all.find(session.first);
    return session.second != 0 && leader != all.end() &&
           leader->second.start_ticks != session.second;
  });
  std::map<pid_t, bool> members;
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [pid, stat] : all) {
      if (members.contains(pid) || pid == ::getpid()) continue;
      if (!sessions_.contains(stat.session) && !members.contains(stat.parent)) continue;
      members[pid] = true;
      changed = true;
      if (sessions_.contains(stat.session)) continue;
      const auto leader = all.find(stat.session);
      sessions_[stat.session] = leader == all.end() ? 0 : leader->second.start_ticks;
    }
  }
  std::vector<TreeMember> living;
  for (const auto& [pid, unused] : members) {
    const ProcessStat& stat = all.at(pid);
    if (stat.is_alive()) living.push_back({pid, stat.start_ticks, stat.group});
  }
  return living;
}

std::vector<TreeMember> ProcessTree::send(int signal, bool by_group) {
  std::vector<TreeMember> living = scan();
  if (by_group) (void)::kill(-main_pid_, signal);
  if (cgroup_ != nullptr) {
    std::set<pid_t> reached;
    for (const TreeMember& member : living) {
      if (by_group && member.group == main_pid_) reached.insert(member.pid);
    }
    cgroup_->send(signal, [&reached](pid_t pid) { return !reached.contains(pid); });
    const bool is_there = std::any_of(living.begin(), living.end(), [this](const TreeMember& one) {
      return one.pid == main_pid_;
    });
    if (!by_group && !is_there) send_to_main(signal);
    return living;
  }
  for (const TreeMember& member : living) {
    if (by_group && member.group == main_pid_) continue;
    const UniqueFd pidfd = open_pidfd(member.pid);
    const auto stat = read_process_stat(member.pid);
    const bool is_same = stat && stat->start_ticks == member.start_ticks;
    if (pidfd.valid() && is_same) (void)signal_by_pidfd(pidfd.get(), signal);
  }
  return living;
}

std::vector<TreeMember> ProcessTree::kill(bool by_group) {
  if (cgroup_ == nullptr) return send(SIGKILL, by_group);
  cgroup_->kill();
  if (by_group) {
    (void)::kill(-main_pid_, SIGKILL);
  } else {
    send_to_main(SIGKILL);
  }
  return scan();
}

void ProcessTree::send_to_main(int signal) {
  const UniqueFd pidfd = open_pidfd(main_pid_);
  const auto stat = read_process_stat(main_pid_);
  const auto known = sessions_.find(main_pid_);
  const bool is_same = stat && known != sessions_.end() && stat->start_ticks == known->second;
  if (pidfd.valid() && is_same) (void)signal_by_pidfd(pidfd.get(), signal);
}

}  // namespace clusterd
