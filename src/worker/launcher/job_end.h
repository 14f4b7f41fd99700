#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <string>
#include <string_view>

#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/journal.h"

namespace clusterd {

[[nodiscard]] internal::ReapedChild make_reaped_child(pid_t pid, int wait_status,
                                                      const rusage& usage);

// How an attempt that was started ended, without its output: from its exit status where that is
// known, and from why it was being ended. `main_killed`: the grace was over and KILL was sent.
[[nodiscard]] v1::JobEnd make_job_end(const JournalAttempt& attempt, bool main_killed);

// `bytes` as valid UTF-8 that does not begin within a character.
[[nodiscard]] std::string readable_tail(std::string_view bytes);

}  // namespace clusterd
