#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"

namespace clusterd {

// A user of this machine, resolved.
struct JobUser {
  internal::RunAs ids;
  std::string home;
};

// The user that `name` (or a number) means. NOT_FOUND: there is none. UNAVAILABLE: the user
// database cannot be read. Blocks on it.
[[nodiscard]] absl::StatusOr<JobUser> look_up_user(const std::string& name);

// Whom jobs run as: `run_as` of the configuration, one of `allowed_users` where the job asks, else
// the worker's own user. Root only where a list names it.
//
// Immutable; any thread. Names are looked up anew for each job: a user may be changed or go.
class JobUsers {
 public:
  // `run_as` empty: the worker's own user.
  JobUsers(std::string run_as, std::vector<std::string> allowed_users);

  // The user for a job that asks for `requested` (empty: it does not ask); nullopt: the worker's
  // own. PERMISSION_DENIED with field `run_as`: not allowed. FAILED_PRECONDITION with field
  // `run_as`: allowed, but this machine has no such user, or this process may not change users.
  [[nodiscard]] absl::StatusOr<std::optional<JobUser>> choose(const std::string& requested) const;

  // What an administrator should know before the first job: each name that cannot be used.
  [[nodiscard]] std::vector<absl::Status> problems() const;

  // True where jobs that do not ask run as the worker's own user and nobody has said that they
  // shall.
  [[nodiscard]] bool is_same_user_by_default() const { return run_as_.empty(); }
  // True where some job may run as another user than the worker's.
  [[nodiscard]] bool may_switch() const;

 private:
  [[nodiscard]] absl::StatusOr<std::optional<JobUser>> resolve(const std::string& name) const;

  std::string run_as_;
  std::vector<std::string> allowed_;
};

}  // namespace clusterd
