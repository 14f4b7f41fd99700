#pragma once

#include <string>
#include <string_view>

#include "clusterd/v1/job.pb.h"

namespace clusterd {

// How the two earlier systems put a job's end into words: those of Go's os/exec. Any thread.

// What went wrong with a job that ended: "exit status 3", "signal: killed", or the end's own
// message. Empty: it succeeded.
[[nodiscard]] std::string original_error_text(const v1::JobEnd& end);

// The end that such words tell of. Words that are none of these become the message of an end
// without a code. `stopped_by_us`: a signal that ended it was ours.
[[nodiscard]] v1::JobEnd end_of_original(bool error, std::string_view error_text,
                                         bool stopped_by_us);

}  // namespace clusterd
