#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/v1/worker_service.pb.h"
#include "core/config.h"

namespace clusterd {

// PATH of every job, and where names of executables are looked up after the worker's own PATH.
inline constexpr char kJobPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Who runs the job, for its environment.
struct WorkerNames {
  std::string worker_id;
  std::string name;
};

// What is decided of a job before its environment is made.
struct JobSetting {
  std::string user;     // empty: the worker's own
  std::string home;     // of that user
  std::string scratch;  // absolute path; empty: none
};

using Variables = std::map<std::string, std::string>;

// PERMISSION_DENIED with field `env` for the first variable that changes what an interpreter or
// the loader runs, unless `env_allow` has it ("PYTHONPATH", or "PYTHON*" for all that begin so).
[[nodiscard]] absl::Status check_environment(const v1::JobSpec& spec,
                                             const std::vector<std::string>& env_allow);

// What the environment of every job begins with: PATH, HOME, LANG and TZ, then what `pass_env`
// names of this process's own environment, then `env` of the configuration.
[[nodiscard]] Variables base_environment(const WorkerConfig::Jobs& jobs);

// The whole environment of an attempt, "NAME=value", sorted: `base`, what `setting` changes of it,
// the job's own, then what tells it who it is.
[[nodiscard]] std::vector<std::string> make_environment(const v1::StartAttempt& attempt,
                                                        const WorkerNames& worker,
                                                        const JobSetting& setting, Variables base);

}  // namespace clusterd
