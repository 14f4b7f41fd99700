#pragma once

#include <functional>
#include <string>

#include "bench/bench_run.h"
#include "bench/load.h"

namespace clusterd::bench {

// Takes the id of a job whose submit was answered; any thread. May be null.
using JobSink = std::function<void(std::string)>;

// What makes requesters that submit `spec`, each over a connection of its own, and check the
// answer. A stop request does not end a submit that is under way, so that no job comes after the
// clean-up. `run` must outlive them.
[[nodiscard]] absl::StatusOr<MakeRequester> submit_over_http(const BenchRun& run,
                                                             const v1::JobSpec& spec, JobSink sink);
[[nodiscard]] absl::StatusOr<MakeRequester> submit_over_grpc(const BenchRun& run,
                                                             const v1::JobSpec& spec, JobSink sink);

}  // namespace clusterd::bench
