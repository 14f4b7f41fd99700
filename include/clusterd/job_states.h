#pragma once

#include <string_view>

#include "clusterd/v1/job.pb.h"

namespace clusterd {

// True for SUCCEEDED, FAILED, STOPPED, TIMED_OUT and LOST. A job in such a state never changes.
[[nodiscard]] bool is_final(v1::Job::State state);

// The one state that an end belongs to (see JobEnd.Reason). EXITED depends on the exit code.
[[nodiscard]] v1::Job::State state_of(const v1::JobEnd& end);

// What a command that waited for the job exits with: the job's own code, 128+n for a signal,
// 124 timed out, 125 lost or unknown, 126 start failed, 130 stopped.
[[nodiscard]] int exit_code_of(const v1::Job& job);

// "RUNNING"; the enumerator's name, in static storage.
[[nodiscard]] std::string_view name_of(v1::Job::State state);

}  // namespace clusterd
