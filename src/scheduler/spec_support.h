#pragma once

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// What the schema has and this version does not do yet: refused rather than ignored.
[[nodiscard]] absl::Status check_supported(const v1::JobSpec& spec);

}  // namespace clusterd
