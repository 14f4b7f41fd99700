#include "worker/process_info.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>

namespace clusterd {
namespace {

// linux/pidfd.h of 6.15; Debian 12's headers do not have it.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup_id;
  std::array<uint32_t, 11> ids;
  int32_t exit_code;
};
constexpr uint64_t kPidfdInfoExit = 1U << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

// The next number of `text`, which is moved behind it.
bool next_number(std::string_view& text, uint64_t* value) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  uint64_t number = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    number = number * 10 + static_cast<uint64_t>(text.front() - '0');
    text.remove_prefix(1);
  }
  *value = negative ? 0 - number : number;
  return true;
}

}  // namespace

bool parse_process_stat(std::string_view text, ProcessStat* stat) {
  const size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string_view::npos || text.size() < name_end + 4) return false;
  stat->state = text[name_end + 2];
  text.remove_prefix(name_end + 3);
  for (int field = 4; field <= 52; ++field) {
    uint64_t value = 0;
    if (!next_number(text, &value)) return field > 22;
    if (field == 4) stat->parent = static_cast<pid_t>(value);
    if (field == 5) stat->group = static_cast<pid_t>(value);
    if (field == 6) stat->session = static_cast<pid_t>(value);
    if (field == 20) stat->threads = value;
    if (field == 22) stat->start_ticks = value;
    if (field == 52) stat->wait_status = static_cast<int>(value);
  }
  return true;
}

std::optional<ProcessStat> read_process_stat(pid_t pid) {
  std::array<char, 32> path{};
  (void)std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
  const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return std::nullopt;
  std::array<char, 1024> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  ProcessStat stat;
  if (size <= 0) return std::nullopt;
  if (!parse_process_stat({text.data(), static_cast<size_t>(size)}, &stat)) return std::nullopt;
  return stat;
}

bool may_see_wait_status(pid_t pid) {
  if (::geteuid() == 0) return true;
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("Uid:")) continue;
    std::string_view rest = std::string_view(line).substr(4);
    for (int i = 0; i < 4; ++i) {
      while (!rest.empty() && rest.front() == '\t') rest.remove_prefix(1);
      uint64_t uid = 0;
      if (!next_number(rest, &uid) || uid != ::geteuid()) return false;
    }
    return true;
  }
  return false;
}

UniqueFd open_pidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool signal_by_pidfd(int pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0;
}

std::optional<int> reaped_wait_status(int pidfd) {
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (::ioctl(pidfd, kPidfdGetInfo, &info) != 0) return std::nullopt;
  if ((info.mask & kPidfdInfoExit) == 0) return std::nullopt;
  return info.exit_code;
}

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace clusterd
