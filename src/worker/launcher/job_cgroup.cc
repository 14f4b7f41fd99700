#include "worker/launcher/job_cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/launcher/cgroup_file.h"
#include "worker/launcher/cgroup_places.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

constexpr int64_t kCpuPeriodUs = 100'000;
constexpr int64_t kLeastCpuQuotaUs = 1'000;  // the kernel's
// Memory that a cgroup may still hold of an attempt that has ended: what the kernel counts in
// advance for each processor, and some cached pages. The next attempt does not feel it.
constexpr uint64_t kMostLeftPages = 256;
constexpr size_t kSignalledAtOnce = 256;

void add_members(int folder, std::vector<pid_t>& members) {
  const std::string text = read_cgroup_file(folder, "cgroup.procs");
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    pid_t pid = 0;
    (void)std::from_chars(line.data(), line.data() + line.size(), pid);
    if (pid > 0) members.push_back(pid);
  }
  for (const std::string& name : cgroup_children(folder)) {
    const UniqueFd below(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (below.valid()) add_members(below.get(), members);
  }
}

std::optional<uint64_t> whole_number(const std::string& text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

bool is_anybody(pid_t /*pid*/) { return true; }

int64_t quota_of(double cpus) {
  return std::max(kLeastCpuQuotaUs,
                  static_cast<int64_t>(std::llround(cpus * static_cast<double>(kCpuPeriodUs))));
}

}  // namespace

JobCgroup::JobCgroup(const CgroupHome& home, std::string name)
    : home_(home), name_(std::move(name)) {}

absl::Status JobCgroup::prepare(const v1::Limits& limits) {
  const std::string tracker = home_.tracker();
  if (tracker.empty()) return absl::UnavailableError("there are no cgroups");
  use_.Clear();
  use_.set_name(name_);
  use_.add_hierarchies(tracker);
  const auto join = [this](std::string_view controller) {
    const std::string hierarchy = home_.hierarchy_of(controller);
    const auto& joined = use_.hierarchies();
    if (hierarchy.empty() || std::find(joined.begin(), joined.end(), hierarchy) != joined.end()) {
      return;
    }
    use_.add_hierarchies(hierarchy);
  };
  if (limits.has_memory_bytes()) join(kMemoryController);
  if (limits.has_pids()) join(kPidsController);
  if (limits.has_cpus()) join(kCpuController);
  for (const std::string& hierarchy : use_.hierarchies()) {
    if (auto status = open_part(hierarchy, /*make=*/true); !status.ok()) return status;
  }
  absl::Status status = set_memory(limits);
  if (status.ok()) status = set_pids(limits);
  if (status.ok()) status = set_cpus(limits);
  if (!status.ok()) return status;
  reset_peak();
  is_used_ = true;
  // Nobody has been in it since the last attempt was counted.
  const bool is_counted = counted_ && use_.hierarchies_size() == 1;
  *use_.mutable_before() = is_counted ? *counted_ : count();
  counted_.reset();
  return absl::OkStatus();
}

absl::Status JobCgroup::take_up(const internal::CgroupUse& use) {
  use_ = use;
  is_used_ = true;
  was_killed_ = true;
  for (const std::string& hierarchy : use_.hierarchies()) {
    if (auto status = open_part(hierarchy, /*make=*/false); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status JobCgroup::open_part(const std::string& hierarchy, bool make) {
  if (parts_.contains(hierarchy)) return absl::OkStatus();
  const CgroupHome::Folder* home = home_.find(hierarchy);
  if (home == nullptr) return absl::NotFoundError(absl::StrCat("no hierarchy ", hierarchy));
  Part part;
  part.path = absl::StrCat(home->path, "/", name_);
  if (make && ::mkdir(part.path.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, part.path);
  }
  part.folder.reset(::open(part.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!part.folder.valid()) return absl::ErrnoToStatus(errno, part.path);
  if (hierarchy == kUnifiedHierarchy) {
    events_.reset(::openat(part.folder.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
    cpu_.reset(::openat(part.folder.get(), "cpu.stat", O_RDONLY | O_CLOEXEC));
  }
  parts_.emplace(hierarchy, std::move(part));
  return absl::OkStatus();
}

JobCgroup::Part* JobCgroup::joined_part(std::string_view controller) {
  const std::string hierarchy = home_.hierarchy_of(controller);
  const auto& joined = use_.hierarchies();
  if (hierarchy.empty() || std::find(joined.begin(), joined.end(), hierarchy) == joined.end()) {
    return nullptr;
  }
  return &parts_.find(hierarchy)->second;
}

absl::Status JobCgroup::write(Part& part, const char* file, const std::string& text) {
  std::string& last = part.values[file];
  if (last == text) return absl::OkStatus();
  absl::Status status = write_cgroup_file(part.folder.get(), file, text);
  if (status.ok()) last = text;
  return status;
}

absl::Status JobCgroup::set_memory(const v1::Limits& limits) {
  Part* part = joined_part(kMemoryController);
  if (part == nullptr) {
    return limits.has_memory_bytes() ? absl::UnavailableError("no memory controller")
                                     : absl::OkStatus();
  }
  absl::Status status;
  // Without swap of its own the limit would only move what is above it to the disk.
  if (home_.hierarchy_of(kMemoryController) == kUnifiedHierarchy) {
    const bool is_limited = limits.has_memory_bytes();
    status = write(*part, "memory.max", is_limited ? absl::StrCat(limits.memory_bytes()) : "max");
    if (!status.ok()) return status;
    status = write(*part, "memory.swap.max", is_limited ? "0" : "max");
  } else {
    const std::string bytes =
        limits.has_memory_bytes() ? absl::StrCat(limits.memory_bytes()) : "-1";
    constexpr const char* kLimit = "memory.limit_in_bytes";
    constexpr const char* kWithSwap = "memory.memsw.limit_in_bytes";
    if (part->values[kLimit] == bytes) return absl::OkStatus();
    (void)write(*part, kWithSwap, "-1");  // never below the other one
    status = write(*part, kLimit, bytes);
    if (!status.ok()) return status;
    status = write(*part, kWithSwap, bytes);
  }
  return absl::IsNotFound(status) ? absl::OkStatus() : status;  // a kernel that counts no swap
}

absl::Status JobCgroup::set_pids(const v1::Limits& limits) {
  Part* part = joined_part(kPidsController);
  if (part != nullptr) {
    return write(*part, "pids.max", limits.has_pids() ? absl::StrCat(limits.pids()) : "max");
  }
  return limits.has_pids() ? absl::UnavailableError("no pids controller") : absl::OkStatus();
}

absl::Status JobCgroup::set_cpus(const v1::Limits& limits) {
  Part* part = joined_part(kCpuController);
  if (part == nullptr) {
    return limits.has_cpus() ? absl::UnavailableError("no cpu controller") : absl::OkStatus();
  }
  const bool is_unified = home_.hierarchy_of(kCpuController) == kUnifiedHierarchy;
  const std::string none = is_unified ? "max" : "-1";
  const std::string quota = limits.has_cpus() ? absl::StrCat(quota_of(limits.cpus())) : none;
  if (is_unified) return write(*part, "cpu.max", absl::StrCat(quota, " ", kCpuPeriodUs));
  if (auto status = write(*part, "cpu.cfs_period_us", absl::StrCat(kCpuPeriodUs)); !status.ok()) {
    return status;
  }
  return write(*part, "cpu.cfs_quota_us", quota);
}

void JobCgroup::reset_peak() {
  peak_.reset();
  const Part* part = joined_part(kMemoryController);
  if (part == nullptr) return;
  if (home_.hierarchy_of(kMemoryController) != kUnifiedHierarchy) {
    const absl::Status reset =
        write_cgroup_file(part->folder.get(), "memory.max_usage_in_bytes", "0");
    if (!reset.ok()) return;
    peak_.reset(::openat(part->folder.get(), "memory.max_usage_in_bytes", O_RDONLY | O_CLOEXEC));
    return;
  }
  // Linux 6.12 begins to count anew for a descriptor into which something is written.
  peak_.reset(::openat(part->folder.get(), "memory.peak", O_RDWR | O_CLOEXEC));
  const bool is_reset = peak_.valid() && ::write(peak_.get(), "reset", 5) == 5;
  if (is_reset) return;
  peak_.reset(is_used_ ? -1 : ::openat(part->folder.get(), "memory.peak", O_RDONLY | O_CLOEXEC));
}

int JobCgroup::clone_target() const {
  const auto found = parts_.find(kUnifiedHierarchy);
  return found == parts_.end() ? -1 : found->second.folder.get();
}

absl::Status JobCgroup::open_doors(bool is_cloned, std::vector<int>* doors) {
  for (const std::string& hierarchy : use_.hierarchies()) {
    if (is_cloned && hierarchy == kUnifiedHierarchy) continue;
    Part& part = parts_.find(hierarchy)->second;
    if (!part.door.valid()) {
      part.door.reset(::openat(part.folder.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
    }
    if (!part.door.valid()) return absl::ErrnoToStatus(errno, part.path + "/cgroup.procs");
    doors->push_back(part.door.get());
  }
  return absl::OkStatus();
}

int JobCgroup::tracking_folder() const {
  return parts_.find(use_.hierarchies(0))->second.folder.get();
}

bool JobCgroup::is_unified() const { return use_.hierarchies(0) == kUnifiedHierarchy; }

bool JobCgroup::is_empty() const {
  if (!is_unified() || !events_.valid()) return members().empty();
  return cgroup_number(reread_file(events_.get()), "populated") == 0;
}

std::vector<pid_t> JobCgroup::members() const {
  std::vector<pid_t> members;
  add_members(tracking_folder(), members);
  return members;
}

void JobCgroup::send(int signal, const std::function<bool(pid_t)>& is_meant) const {
  const std::vector<pid_t> before = members();
  for (size_t begin = 0; begin < before.size(); begin += kSignalledAtOnce) {
    const size_t end = std::min(begin + kSignalledAtOnce, before.size());
    std::map<pid_t, UniqueFd> opened;
    for (size_t i = begin; i < end; ++i) {
      if (is_meant(before[i])) opened.emplace(before[i], open_pidfd(before[i]));
    }
    // Whoever has one of these numbers now and is a member has had it when its pidfd was opened,
    // unless that one was of a process that has ended since.
    for (const pid_t pid : members()) {
      const auto found = opened.find(pid);
      if (found != opened.end()) (void)signal_by_pidfd(found->second.get(), signal);
    }
  }
}

void JobCgroup::kill() {
  was_killed_ = true;
  if (is_unified()) {
    const absl::Status killed = write_cgroup_file(tracking_folder(), "cgroup.kill", "1");
    if (killed.ok()) return;
    // Before Linux 5.14: nobody forks while all are killed.
    (void)write_cgroup_file(tracking_folder(), "cgroup.freeze", "1");
    send(SIGKILL, is_anybody);
    (void)write_cgroup_file(tracking_folder(), "cgroup.freeze", "0");
    return;
  }
  if (Part* part = joined_part(kPidsController)) (void)write(*part, "pids.max", "0");
  send(SIGKILL, is_anybody);
}

internal::CgroupCounters JobCgroup::count() {
  internal::CgroupCounters counters;
  if (cpu_.valid()) {
    const std::string text = reread_file(cpu_.get());
    counters.set_user_us(cgroup_number(text, "user_usec").value_or(0));
    counters.set_system_us(cgroup_number(text, "system_usec").value_or(0));
  }
  if (const Part* memory = joined_part(kMemoryController)) {
    const bool is_unified = home_.hierarchy_of(kMemoryController) == kUnifiedHierarchy;
    const std::string text =
        read_cgroup_file(memory->folder.get(), is_unified ? "memory.events" : "memory.oom_control");
    counters.set_oom_kills(cgroup_number(text, "oom_kill").value_or(0));
  }
  if (const Part* pids = joined_part(kPidsController)) {
    const std::string text = read_cgroup_file(pids->folder.get(), "pids.events");
    counters.set_refused_forks(cgroup_number(text, "max").value_or(0));
  }
  return counters;
}

CgroupUsage JobCgroup::usage() {
  counted_ = count();
  const internal::CgroupCounters& now = *counted_;
  const internal::CgroupCounters& before = use_.before();
  CgroupUsage usage;
  if (cpu_.valid()) {
    usage.user_us = now.user_us() - std::min(now.user_us(), before.user_us());
    usage.system_us = now.system_us() - std::min(now.system_us(), before.system_us());
  }
  usage.oom_kills = now.oom_kills() - std::min(now.oom_kills(), before.oom_kills());
  usage.refused_forks = now.refused_forks() - std::min(now.refused_forks(), before.refused_forks());
  if (peak_.valid()) usage.peak_memory_bytes = whole_number(reread_file(peak_.get()));
  return usage;
}

bool JobCgroup::is_reusable() {
  // From Linux 6.14 on, what is cloned into a cgroup that has ever been killed is killed too.
  if (was_killed_) return false;
  for (const auto& [hierarchy, part] : parts_) {
    if (!cgroup_children(part.folder.get()).empty()) return false;
  }
  const Part* memory = joined_part(kMemoryController);
  if (memory == nullptr) return true;
  const bool is_unified = home_.hierarchy_of(kMemoryController) == kUnifiedHierarchy;
  const char* file = is_unified ? "memory.current" : "memory.usage_in_bytes";
  const auto left = whole_number(read_cgroup_file(memory->folder.get(), file));
  return left && *left <= kMostLeftPages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

absl::Status JobCgroup::remove() {
  events_.reset();
  cpu_.reset();
  peak_.reset();
  absl::Status status;
  for (const CgroupHome::Folder& folder : home_.folders()) {
    parts_.erase(folder.hierarchy);
    status.Update(remove_cgroup(absl::StrCat(folder.path, "/", name_)));
  }
  return status;
}

}  // namespace clusterd
