#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// The next thing to try, for people, who find it on standard error below what went wrong. Pure
// functions; any thread. Without a newline at the end; empty: nothing comes to mind.

// After a command that failed so: what with_hint() added, else what goes with the code and field.
[[nodiscard]] std::string hint_of(const absl::Status& status);

// After a job that ended so.
[[nodiscard]] std::string hint_of_end(const v1::Job& job);

// The same status, of which hint_of() gives `hint`; `status` is an error.
[[nodiscard]] absl::Status with_hint(absl::Status status, std::string_view hint);

// `status` of a start on `worker`, by id or name (empty: any), with a hint that names it where the
// script is at fault.
[[nodiscard]] absl::Status with_worker(absl::Status status, const std::string& worker);

}  // namespace clusterd
