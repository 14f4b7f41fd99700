#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/caller_session.h"
#include "cli/terminal.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// How far a job's tasks are, in one line without its newline:
//   "[=====>    ] 500/1000 done, 3 failed, 8 running, 42/s, 12s left"
// `ended_before` of them had ended `watched` ago. A job without tasks is shown by its state. The
// bar is there where `columns` are.
[[nodiscard]] std::string progress_text(const v1::Job& job, uint64_t ended_before,
                                        std::chrono::nanoseconds watched,
                                        std::optional<size_t> columns);

// How many of a job's tasks have ended.
[[nodiscard]] uint64_t ended_tasks(const v1::Job& job);

// Waits for a job's end as SchedulerClient::wait() does, and says on standard error how far it is:
// twice a second in one line of a terminal, elsewhere a line every five seconds.
[[nodiscard]] absl::StatusOr<v1::Job> wait_with_progress(CallerSession& session,
                                                         const std::string& job_id,
                                                         const std::stop_token& stop);

}  // namespace clusterd
