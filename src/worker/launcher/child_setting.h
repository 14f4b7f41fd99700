#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/spawn_child.h"
#include "worker/unique_fd.h"

namespace clusterd {

// What a plan says of the user, the script and the files of a child, in the form that the child can
// use. It must outlive the child's execve.
//
// Owned by the spawn of one attempt, on its thread.
class ChildSetting {
 public:
  // `plan` outlives this. Where the script is to run from a sealed copy, makes it and puts its path
  // into the plan. FAILED_PRECONDITION, UNAVAILABLE: there is no such copy, and why.
  [[nodiscard]] absl::Status prepare(internal::LaunchPlan& plan);

  void add_to(ChildPlan& child) const;

 private:
  const internal::LaunchPlan* plan_ = nullptr;
  std::vector<gid_t> groups_;
  mode_t umask_ = 0;
  UniqueFd sealed_script_;
};

// Gives a file that was made for a job to the user that it runs as.
[[nodiscard]] absl::Status give_to_user(const std::string& path, const internal::LaunchPlan& plan);

}  // namespace clusterd
