#pragma once

#include <string>
#include <vector>

#include "clusterd/v1/worker_service.pb.h"
#include "worker/job_environment.h"

namespace clusterd {

// The environment of an attempt's archive command, "NAME=value", sorted: PATH, HOME, LANG and TZ of
// the worker, and what tells it whose logs it gets. Nothing of the job's own variables: it runs
// with the worker's rights, not with the job's.
[[nodiscard]] std::vector<std::string> make_archive_environment(const v1::StartAttempt& attempt,
                                                                const WorkerNames& worker);

}  // namespace clusterd
