#pragma once

#include "absl/status/statusor.h"
#include "scheduler/decision.h"
#include "store/store.h"

namespace clusterd {

// Answers the decider's question from the store. Blocks on it. UNAVAILABLE: it cannot be read.
[[nodiscard]] absl::StatusOr<LookedUp> look_up(Store& store, const LookUp& question);

// The same for a page of jobs.
[[nodiscard]] absl::StatusOr<MatchedJobs> find_matching(Store& store, const FindMatching& question);

}  // namespace clusterd
