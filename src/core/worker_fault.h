#pragma once

#include "absl/status/status.h"

namespace clusterd {

// Why a start failed: by the job, which fails so on every worker, or by the worker that it met. The
// second is marked on the error, with a google.rpc.ErrorInfo payload that travels with it.

// The error, marked as one that the worker is to blame for. OK stays as it is.
[[nodiscard]] absl::Status by_workers_fault(absl::Status status);
// It is marked so.
[[nodiscard]] bool is_workers_fault(const absl::Status& status);

}  // namespace clusterd
