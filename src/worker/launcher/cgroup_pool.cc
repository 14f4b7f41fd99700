#include "worker/launcher/cgroup_pool.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "worker/launcher/cgroup_file.h"
#include "worker/launcher/cgroup_places.h"
#include "worker/launcher/clone_into_cgroup.h"

namespace clusterd {
namespace {

constexpr size_t kMostIdle = 32;
// How long what an earlier launcher left is killed before it is given up: nothing but a process
// that hangs in the kernel lives that long.
constexpr int kKillRounds = 50;
constexpr int kKillRoundMs = 20;

void wait_ms(int duration) { (void)::poll(nullptr, 0, duration); }

uint64_t number_of(const std::string& name) {
  uint64_t number = 0;
  (void)std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

}  // namespace

CgroupPool::CgroupPool(CgroupHome home) : home_(std::move(home)), can_clone_(try_to_clone()) {}

CgroupPool::~CgroupPool() {
  for (auto& cgroup : idle_) doomed_.push_back(std::move(cgroup));
  for (auto& cgroup : doomed_) (void)cgroup->remove();
  home_.remove();
}

bool CgroupPool::try_to_clone() {
  if (home_.tracker() != kUnifiedHierarchy) return false;
  auto probe = std::make_unique<JobCgroup>(home_, "probe");
  if (!probe->prepare({}).ok()) return false;
  const pid_t pid = vfork_into_cgroup(
      probe->clone_target(), [](void*) { ::_exit(0); }, nullptr);
  if (pid > 0) (void)::waitpid(pid, nullptr, 0);
  (void)probe->remove();
  return pid > 0;
}

std::unique_ptr<JobCgroup> CgroupPool::pick(const v1::Limits& limits) {
  const std::lock_guard lock(mutex_);
  const bool is_new = idle_.empty() || (limits.has_memory_bytes() && peak_needs_new_);
  if (is_new) return std::make_unique<JobCgroup>(home_, absl::StrCat(next_name_++));
  std::vector<std::string> wanted;
  const auto want = [&](bool is_limited, std::string_view controller) {
    if (is_limited) wanted.push_back(home_.hierarchy_of(controller));
  };
  want(limits.has_memory_bytes(), kMemoryController);
  want(limits.has_pids(), kPidsController);
  want(limits.has_cpus(), kCpuController);
  // One that has the folders already, and no more of them than it takes.
  const auto fit = [&](const std::unique_ptr<JobCgroup>& cgroup) {
    const auto missing = std::count_if(wanted.begin(), wanted.end(), [&](const std::string& name) {
      return !name.empty() && !cgroup->has(name);
    });
    return std::make_pair(missing, cgroup->size());
  };
  const auto best = std::min_element(idle_.begin(), idle_.end(),
                                     [&](const auto& a, const auto& b) { return fit(a) < fit(b); });
  std::unique_ptr<JobCgroup> picked = std::move(*best);
  idle_.erase(best);
  return picked;
}

absl::StatusOr<std::unique_ptr<JobCgroup>> CgroupPool::take(const v1::Limits& limits) {
  const bool is_limited = limits.has_memory_bytes() || limits.has_pids() || limits.has_cpus();
  if (home_.tracker().empty()) {
    if (is_limited) return absl::UnavailableError("there are no cgroups");
    return nullptr;
  }
  std::unique_ptr<JobCgroup> cgroup = pick(limits);
  while (cgroup->size() > 0 && !cgroup->is_reusable()) {
    {
      const std::lock_guard lock(mutex_);
      doomed_.push_back(std::move(cgroup));
    }
    cgroup = pick(limits);
  }
  const absl::Status status = cgroup->prepare(limits);
  const std::lock_guard lock(mutex_);
  if (status.ok()) {
    if (limits.has_memory_bytes() && !cgroup->knows_peak()) peak_needs_new_ = true;
    failure_was_logged_ = false;
    return cgroup;
  }
  doomed_.push_back(std::move(cgroup));
  if (is_limited) return status;
  if (!std::exchange(failure_was_logged_, true)) {
    log_warning("launcher", "jobs run without a cgroup", {{"error", status}});
  }
  return nullptr;
}

std::unique_ptr<JobCgroup> CgroupPool::take_up(const internal::CgroupUse& use) {
  auto cgroup = std::make_unique<JobCgroup>(home_, use.name());
  const absl::Status status = cgroup->take_up(use);
  const std::lock_guard lock(mutex_);
  next_name_ = std::max(next_name_, number_of(use.name()) + 1);
  if (!status.ok()) {
    log_warning("launcher", "the cgroup of a job is gone", {{"error", status}});
    return nullptr;
  }
  adopted_.insert(use.name());
  return cgroup;
}

void CgroupPool::remove_strange() {
  std::set<std::string> strange;
  for (const CgroupHome::Folder& folder : home_.folders()) {
    const UniqueFd open(::open(folder.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (std::string& name : cgroup_children(open.get())) {
      if (!adopted_.contains(name)) strange.insert(std::move(name));
    }
  }
  for (const std::string& name : strange) {
    next_name_ = std::max(next_name_, number_of(name) + 1);
    const absl::Status status = end_and_remove(name);
    if (!status.ok()) log_error("launcher", "a cgroup stays behind", {{"error", status}});
  }
}

absl::Status CgroupPool::end_and_remove(const std::string& name) {
  JobCgroup cgroup(home_, name);
  absl::Status status = cgroup.remove();
  for (int round = 0; round < kKillRounds && !status.ok(); ++round) {
    for (const CgroupHome::Folder& folder : home_.folders()) {
      internal::CgroupUse use;
      use.set_name(name);
      use.add_hierarchies(folder.hierarchy);
      if (cgroup.take_up(use).ok()) cgroup.kill();
    }
    wait_ms(kKillRoundMs);
    status = cgroup.remove();
  }
  return status;
}

bool CgroupPool::give_back(std::unique_ptr<JobCgroup> cgroup) {
  const std::lock_guard lock(mutex_);
  (idle_.size() < kMostIdle ? idle_ : doomed_).push_back(std::move(cgroup));
  return !doomed_.empty();
}

void CgroupPool::trim() {
  Cgroups doomed;
  {
    const std::lock_guard lock(mutex_);
    doomed = std::exchange(doomed_, {});
  }
  std::erase_if(doomed, [](auto& cgroup) { return cgroup->remove().ok(); });
  const std::lock_guard lock(mutex_);
  for (auto& cgroup : doomed) doomed_.push_back(std::move(cgroup));
}

}  // namespace clusterd
