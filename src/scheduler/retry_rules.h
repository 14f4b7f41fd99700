#pragma once

#include <chrono>

#include "clusterd/v1/job.pb.h"
#include "core/clock.h"

namespace clusterd {

// When attempts follow one another. Pure functions of the job; any thread.

// The newest attempt ended so: another one is due. Not after a wish to stop, and not beyond
// `max_attempts`.
[[nodiscard]] bool is_retried(const v1::Job& job, const v1::JobEnd& end);

// How long to wait before the next attempt: `backoff` doubled for each earlier attempt, at most an
// hour, times 1 to 1.25 by a hash of the job's id and the attempt. After a loss of a job that
// fences itself at least fence_margin().
[[nodiscard]] std::chrono::nanoseconds retry_delay(const v1::Job& job, const v1::JobEnd& end,
                                                   std::chrono::nanoseconds lost_after);

// Makes an ended job into one that has not ended; its attempts stay.
void clear_end(v1::Job& job);

// The job's attempts must not overlap: its launcher kills it in time.
[[nodiscard]] bool fences_itself(const v1::JobSpec& spec);
// Before and after `lost_after`: the launcher kills this much earlier, the next attempt starts
// this much later. A tenth of it, 500 ms to 10 s, and at most half of it.
[[nodiscard]] std::chrono::nanoseconds fence_margin(std::chrono::nanoseconds lost_after);

// What is left of a wait that began at `begin`; never more than the whole wait where that is not
// zero, and never negative.
[[nodiscard]] std::chrono::nanoseconds left_of(std::chrono::nanoseconds wait, WallTime begin,
                                               WallTime now);

}  // namespace clusterd
