#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/cgroup_home.h"
#include "worker/unique_fd.h"

namespace clusterd {

// What the kernel has counted of an attempt.
struct CgroupUsage {
  std::optional<uint64_t> user_us;
  std::optional<uint64_t> system_us;
  std::optional<uint64_t> peak_memory_bytes;
  uint64_t oom_kills = 0;
  uint64_t refused_forks = 0;
};

// The cgroup of one attempt at a time: a folder of the same name in one or more hierarchies.
//
// Owned by CgroupPool, or lent to an attempt; one thread at a time. The folders stay when the
// object goes, but for remove().
class JobCgroup {
 public:
  // `home` outlives this. Nothing is made yet.
  JobCgroup(const CgroupHome& home, std::string name);

  // Makes, or finds, what an attempt with these limits needs, sets them, and begins to count. An
  // error: a limit cannot be enforced, or there is no cgroup at all.
  [[nodiscard]] absl::Status prepare(const v1::Limits& limits);
  // Opens what an attempt of an earlier launcher has. An error: it is gone.
  [[nodiscard]] absl::Status take_up(const internal::CgroupUse& use);

  // For the journal: what prepare() has made of it.
  [[nodiscard]] const internal::CgroupUse& use() const { return use_; }
  // Folder for CLONE_INTO_CGROUP; −1: the first hierarchy has no such thing.
  [[nodiscard]] int clone_target() const;
  // To these files a child writes "0" to be in it, but for the one that it was cloned into. They
  // are open as long as this is.
  [[nodiscard]] absl::Status open_doors(bool is_cloned, std::vector<int>* doors);

  // No living process is in it, nor in a cgroup below.
  [[nodiscard]] bool is_empty() const;
  // The processes in it and below, zombies left out.
  [[nodiscard]] std::vector<pid_t> members() const;
  // Sends `signal` to those that `is_meant` picks of them, and to no stranger that has got the
  // number of one.
  void send(int signal, const std::function<bool(pid_t)>& is_meant) const;
  // KILL for all; to be repeated until it is empty, since not every kernel can do that at one blow.
  void kill();

  // False: how much memory an attempt had at most can be told of the first one only.
  [[nodiscard]] bool knows_peak() const { return peak_.valid(); }
  // Since prepare().
  [[nodiscard]] CgroupUsage usage();

  // Nothing of the last attempt, whose processes have ended, is left in it that the next one would
  // feel.
  [[nodiscard]] bool is_reusable();
  [[nodiscard]] size_t size() const { return parts_.size(); }
  [[nodiscard]] bool has(std::string_view hierarchy) const { return parts_.contains(hierarchy); }
  // An error: a process is still in it.
  [[nodiscard]] absl::Status remove();

 private:
  struct Part {
    std::string path;
    UniqueFd folder;
    UniqueFd door;                              // cgroup.procs, once it is needed
    std::map<std::string, std::string> values;  // as last written
  };

  [[nodiscard]] absl::Status open_part(const std::string& hierarchy, bool make);
  // Null: the controller cannot be had, or the attempt is not in its hierarchy.
  [[nodiscard]] Part* joined_part(std::string_view controller);
  [[nodiscard]] absl::Status write(Part& part, const char* file, const std::string& text);
  [[nodiscard]] absl::Status set_memory(const v1::Limits& limits);
  [[nodiscard]] absl::Status set_pids(const v1::Limits& limits);
  [[nodiscard]] absl::Status set_cpus(const v1::Limits& limits);
  void reset_peak();
  [[nodiscard]] bool is_unified() const;
  [[nodiscard]] int tracking_folder() const;
  [[nodiscard]] internal::CgroupCounters count();

  const CgroupHome& home_;
  const std::string name_;
  std::map<std::string, Part, std::less<>> parts_;  // by hierarchy
  internal::CgroupUse use_;
  std::optional<internal::CgroupCounters> counted_;  // at the end of the last attempt
  UniqueFd events_;                                  // of the unified hierarchy, as the next
  UniqueFd cpu_;
  UniqueFd peak_;  // its reading began when the attempt did
  bool is_used_ = false;
  bool was_killed_ = false;  // or may have been, by an earlier launcher
};

}  // namespace clusterd
