#pragma once

#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/unique_fd.h"

namespace clusterd {

// A copy of the script in memory that nobody can change any more. FAILED_PRECONDITION: its path
// leads through a symbolic link by now, others may write it, it is too large, or it has not the
// SHA-256 that the plan wants. UNAVAILABLE: it cannot be read, or there is no memory for it. Blocks
// on the disk.
[[nodiscard]] absl::StatusOr<UniqueFd> seal_script(const internal::CheckedScript& script);

}  // namespace clusterd
