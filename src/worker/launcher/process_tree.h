#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

#include "worker/launcher/job_cgroup.h"

namespace clusterd {

struct TreeMember {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  pid_t group = 0;
};

// The processes of one attempt. With a cgroup: who is in it, which nobody leaves. Without: as far
// as /proc shows them, the members of its session, and all that descend from members. A
// descendant's own session is remembered, so that it stays ours after its parents are gone; one
// that had left before anybody looked escapes.
//
// Owned by its attempt; control thread only.
class ProcessTree {
 public:
  ProcessTree() = default;
  // `cgroup` outlives this; null: there is none.
  ProcessTree(pid_t main_pid, uint64_t start_ticks, JobCgroup* cgroup);

  // All that live at this moment, zombies left out.
  [[nodiscard]] std::vector<TreeMember> scan();

  // Sends a signal to all that live. With `by_group` the main process's group gets it by one call:
  // only while the main process is our child and not reaped, so that its number is still its own.
  // Returns those that were there.
  std::vector<TreeMember> send(int signal, bool by_group);

  // Sends KILL to all that live, at one blow where that can be had. Returns those that are left.
  std::vector<TreeMember> kill(bool by_group);

 private:
  [[nodiscard]] std::vector<TreeMember> scan_cgroup() const;
  // One of root may have left its cgroup.
  void send_to_main(int signal);

  pid_t main_pid_ = 0;
  JobCgroup* cgroup_ = nullptr;
  std::map<pid_t, uint64_t> sessions_;  // with the start of each one's leader
};

}  // namespace clusterd
