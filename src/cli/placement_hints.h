#pragma once

#include <string>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// Why none of these workers, as they are now, will ever take such a job, each reason with the next
// thing to try: "no worker has label gpu=yes: `clusterd cluster workers --label`". Empty: one of
// them may, once it has room. Pure; any thread.
[[nodiscard]] std::vector<std::string> placement_hints(const v1::JobSpec& spec,
                                                       const v1::ListWorkersResponse& workers);

}  // namespace clusterd
