#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/v1/worker_service.pb.h"

namespace clusterd {

// PATH of every job, and where names of executables are looked up after the worker's own PATH.
inline constexpr char kJobPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Who runs the job, for its environment.
struct WorkerNames {
  std::string worker_id;
  std::string name;
};

// PERMISSION_DENIED with field `env` for the first variable that changes what an interpreter or
// the loader runs, unless `env_allow` has it ("PYTHONPATH", or "PYTHON*" for all that begin so).
[[nodiscard]] absl::Status check_environment(const v1::JobSpec& spec,
                                             const std::vector<std::string>& env_allow);

// The whole environment of an attempt, "NAME=value", sorted: PATH, HOME, LANG and TZ of the
// worker, then the job's own, then what tells it who it is.
[[nodiscard]] std::vector<std::string> make_environment(const v1::StartAttempt& attempt,
                                                        const WorkerNames& worker);

}  // namespace clusterd
