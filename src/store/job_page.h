#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// What pages of jobs have in common, whichever store they come from. Pure functions, any thread.

// A page must fit into one message.
inline constexpr size_t kMostBytesOfPage = 2 << 20;

// The token of the page that starts below `seq`.
[[nodiscard]] std::string token_after(int64_t seq);
// The seq below which the page starts. INVALID_ARGUMENT: the token is not one of ours.
[[nodiscard]] absl::StatusOr<int64_t> seq_in_token(const std::string& token);
// How many jobs it has: 100 unless told, 1,000 at most.
[[nodiscard]] size_t page_size_of(const v1::ListJobsRequest& request);
// In order, each once; empty: every state.
[[nodiscard]] std::vector<int> states_of(const v1::ListJobsRequest& request);
// The job has all labels that are asked for.
[[nodiscard]] bool has_labels(const v1::Job& job, const v1::ListJobsRequest& request);
// Takes out what lists do not show.
void strip_for_list(v1::Job& job);

}  // namespace clusterd
