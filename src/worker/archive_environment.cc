#include "worker/archive_environment.h"

#include <cstdlib>
#include <map>

namespace clusterd {

std::vector<std::string> make_archive_environment(const v1::StartAttempt& attempt,
                                                  const WorkerNames& worker) {
  std::map<std::string, std::string> variables = {
      {"PATH", kJobPath},
      {"CLUSTERD_JOB_ID", attempt.key().job_id()},
      {"CLUSTERD_ATTEMPT", std::to_string(attempt.key().attempt())},
      {"CLUSTERD_WORKER_ID", worker.worker_id},
      {"CLUSTERD_WORKER_NAME", worker.name}};
  for (const char* name : {"HOME", "LANG", "TZ"}) {
    if (const char* value = std::getenv(name)) variables[name] = value;
  }
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace clusterd
