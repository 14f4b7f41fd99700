#pragma once

#include <chrono>

#include "clusterd/v1/job.pb.h"
#include "core/clock.h"

namespace clusterd {

// When attempts follow one another. Pure functions of the job; any thread.

// The newest attempt ended so: another one is due. Not after a wish to stop, and not beyond
// `max_attempts`.
[[nodiscard]] bool is_retried(const v1::Job& job, const v1::JobEnd& end);

// The newest attempt could not be started by the fault of its worker, so that the job goes back to
// the queue as if it had not been tried. Not where it names its worker, not after a wish to stop,
// and for kMostExcused attempts at most; those that tried out a sick worker, `was_probe`, do not
// count.
inline constexpr uint32_t kMostExcused = 10;
[[nodiscard]] bool is_excused(const v1::Job& job, const v1::JobEnd& end, bool was_probe);
// How long it then waits: not at all the first five times, then 1 s, doubled each time, at most 30
// s.
[[nodiscard]] std::chrono::nanoseconds excused_delay(const v1::Job& job);
// Leaves out the failure before the newest one, where both were the same worker's fault: trying it
// out for hours does not make the record grow.
void drop_earlier_probe(v1::Job& job);

// The newest attempt was lost, would be retried for that, and is not because it is the last of as
// many as may be lost: `max_losses` of the job, else `usual_most`.
[[nodiscard]] bool is_lost_for_good(const v1::Job& job, const v1::JobEnd& end, uint32_t usual_most);
// Attempts of it that were lost.
[[nodiscard]] uint32_t losses_of(const v1::Job& job);

// How long to wait before the next attempt: excused_delay() of one that was excused, else `backoff`
// doubled for each earlier attempt, at most an hour, times 1 to 1.25 by a hash of the job's id and
// the attempt. After a loss of a job that fences itself at least fence_margin().
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
