#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/job_cgroup.h"
#include "worker/launcher/journal.h"

namespace clusterd {

[[nodiscard]] internal::ReapedChild make_reaped_child(pid_t pid, int wait_status,
                                                      const rusage& usage);

// How an attempt that was started ended, without its output: from its exit status where that is
// known, from why it was being ended, and from what its cgroup has counted.
[[nodiscard]] v1::JobEnd make_job_end(const JournalAttempt& attempt,
                                      const std::optional<CgroupUsage>& usage);

// `bytes` as valid UTF-8 that does not begin within a character.
[[nodiscard]] std::string readable_tail(std::string_view bytes);

}  // namespace clusterd
