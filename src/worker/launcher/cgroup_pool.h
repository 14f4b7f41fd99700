#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/launcher/cgroup_home.h"
#include "worker/launcher/job_cgroup.h"

namespace clusterd {

// The cgroups of attempts: made when they are needed and used again, since making and removing
// one costs as much as half a process.
//
// Owned by Supervisor. Spawn threads take, the control thread gives back; data and lock are
// together, see docs/architecture.md#threads. The destructor removes what is not in use.
class CgroupPool {
 public:
  explicit CgroupPool(CgroupHome home);
  ~CgroupPool();
  CgroupPool(const CgroupPool&) = delete;
  CgroupPool& operator=(const CgroupPool&) = delete;

  // A cgroup that has these limits. Null: the machine has none, and nothing that asks for one is
  // limited. An error: a limit cannot be enforced. May block.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<JobCgroup>> take(const v1::Limits& limits);
  // The cgroup of an attempt of an earlier launcher; null: it is gone.
  [[nodiscard]] std::unique_ptr<JobCgroup> take_up(const internal::CgroupUse& use);
  // Once, when all that earlier launchers left has been taken up: ends and removes the rest.
  void remove_strange();

  // What is left of an attempt that has ended. True: trim() has something to do.
  [[nodiscard]] bool give_back(std::unique_ptr<JobCgroup> cgroup);
  // Removes what is too much. May block.
  void trim();

  // Processes can be cloned into a cgroup.
  [[nodiscard]] bool can_clone() const { return can_clone_; }
  [[nodiscard]] const CgroupHome& home() const { return home_; }

 private:
  using Cgroups = std::vector<std::unique_ptr<JobCgroup>>;

  [[nodiscard]] std::unique_ptr<JobCgroup> pick(const v1::Limits& limits);
  [[nodiscard]] bool try_to_clone();
  [[nodiscard]] absl::Status end_and_remove(const std::string& name);

  const CgroupHome home_;
  bool can_clone_ = false;  // since the constructor
  std::mutex mutex_;
  uint64_t next_name_ = 1;         // guarded by mutex_, as all below
  Cgroups idle_;                   // may be dirty: looked at when they are taken
  Cgroups doomed_;                 // to be removed
  std::set<std::string> adopted_;  // names
  bool peak_needs_new_ = false;    // the kernel cannot begin to count a peak anew
  bool failure_was_logged_ = false;
};

}  // namespace clusterd
