#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/job.pb.h"
#include "core/config.h"

namespace clusterd {

// What the system lets this process, and with it the launcher, give to jobs.
struct SystemBounds {
  uint64_t open_files = 0;
  uint64_t core_bytes = 0;
  int32_t least_nice = 0;
};
[[nodiscard]] SystemBounds read_system_bounds();

// What of a job's limits this machine cannot enforce, with the reasons; all, where the launcher is
// of a version that knew none.
[[nodiscard]] std::vector<internal::UnenforcedLimit> unenforced_limits(
    const internal::LauncherHello& launcher);

// Decides what a job is kept within here: what it asks for, else the worker's default, else the
// worker's ceiling.
//
// Owned by Admission. Immutable; any thread.
class LimitsPolicy {
 public:
  LimitsPolicy(WorkerConfig::Limits config, SystemBounds system)
      : config_(std::move(config)), system_(system) {}

  // INVALID_ARGUMENT (limits.…): above the worker's ceiling or what the system allows, with both
  // numbers. FAILED_PRECONDITION (limits.…): it is asked for and `unenforced`. A default that
  // cannot be enforced is left out.
  [[nodiscard]] absl::StatusOr<v1::Limits> limits_of(
      const v1::JobSpec& spec, const std::vector<internal::UnenforcedLimit>& unenforced) const;

  // Longest run; absent: no bound. INVALID_ARGUMENT (timeout): above the ceiling.
  [[nodiscard]] absl::StatusOr<std::optional<google::protobuf::Duration>> timeout_of(
      const v1::JobSpec& spec) const;

  // Keys of the configuration whose values cannot be enforced ("limits.max_memory").
  [[nodiscard]] std::vector<std::string> keys_without_effect(
      const std::vector<internal::UnenforcedLimit>& unenforced) const;

 private:
  [[nodiscard]] absl::Status check_ceilings(const v1::Limits& asked) const;
  [[nodiscard]] absl::Status check_system(const v1::Limits& asked) const;
  [[nodiscard]] v1::Limits defaults() const;

  WorkerConfig::Limits config_;
  SystemBounds system_;
};

}  // namespace clusterd
