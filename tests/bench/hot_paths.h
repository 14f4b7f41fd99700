#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"
#include "core/clock.h"

namespace clusterd::bench {

// Ways through our code that each job, task, heartbeat or frame of output takes, each by itself: no
// socket, no thread of ours and no clock in it, so that the same build takes the same number of
// instructions each time. count_instructions.py counts them.
//
// Each function makes what its way needs and returns the work of one operation, which owns that.

using Operation = absl::AnyInvocable<void()>;

// hot_edges.cc: the gateway, the checks of a submit, output.
// The body of a submit, as the request that goes to the scheduler's service.
[[nodiscard]] Operation json_request();
// The service's answer, a job, as JSON.
[[nodiscard]] Operation json_answer();
[[nodiscard]] Operation spec_check();
// A frame of 256 KiB from the log in `folder` to what the gateway writes: read, summed, through the
// messages of worker and scheduler, summed again.
[[nodiscard]] Operation output_frame(const std::string& folder);

// hot_decider.cc: what the scheduler decides.
// One job, submitted, started and ended, on a cluster that does nothing else.
[[nodiscard]] Operation job_decisions();
// One task of an array of 100,000, on eight slots: started and ended, and the next one placed.
[[nodiscard]] Operation task_decisions();
// One heartbeat among 1,000 workers.
[[nodiscard]] Operation heartbeat_decision();
// A submit while 1,000 workers are full.
[[nodiscard]] Operation waiting_submit();
// 1,000 workers are full and jobs of eight shapes wait: one started and ended, and the next one
// placed.
[[nodiscard]] Operation placement();

// hot_records.cc: what the worker decides, and the store.
// One attempt: checked, launched, ended, its end told and acknowledged.
[[nodiscard]] Operation attempt_decisions();
// One commit of kCommittedRecords records of jobs, a third each accepted, started and ended, with
// the event of each; at most `commits` times. The store lies in `folder`.
inline constexpr uint64_t kCommittedRecords = 96;
[[nodiscard]] Operation commit(const std::string& folder, uint64_t commits);

// --- what they share; hot_paths.cc
// 36 characters, as ids of jobs have; in the order of the numbers.
[[nodiscard]] std::string job_id(uint64_t number);
[[nodiscard]] v1::JobSpec plain_spec();
// When everything happens.
[[nodiscard]] Now still_time();
// Ends the program where an operation does not do what is measured.
void must(bool done, const std::string& what);
void must(const absl::Status& status);

}  // namespace clusterd::bench
