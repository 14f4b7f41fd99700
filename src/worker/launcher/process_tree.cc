#include "worker/launcher/process_tree.h"

#include <dirent.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <memory>

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

ProcessTree::ProcessTree(pid_t main_pid, uint64_t start_ticks)
    : main_pid_(main_pid), sessions_{{main_pid, start_ticks}} {}

std::vector<TreeMember> ProcessTree::scan() {
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
  for (const TreeMember& member : living) {
    if (by_group && member.group == main_pid_) continue;
    const UniqueFd pidfd = open_pidfd(member.pid);
    const auto stat = read_process_stat(member.pid);
    const bool is_same = stat && stat->start_ticks == member.start_ticks;
    if (pidfd.valid() && is_same) (void)signal_by_pidfd(pidfd.get(), signal);
  }
  return living;
}

}  // namespace clusterd
