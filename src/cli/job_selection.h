#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/caller_session.h"

namespace clusterd {

// Which jobs `all` stands for.
enum class AllJobs {
  kNone,    // the word is refused
  kActive,  // those that have not ended
  kEnded,
};

// The ids that a command's words stand for, in their order:
//   0199e2f3-9a4d-7b02-8c1e-5f6a7b8c9d0e   a job (any other text is taken for an id, too)
//   0199e2f3-9a                            the one job whose id begins so; at least 8 characters
//   JOB.7, JOB.1-10, JOB.1-10:2            tasks of an array
//   last                                   the newest job
//   all, failed                            every job of `all_jobs`; every job that ended FAILED,
//                                          TIMED_OUT or LOST
// INVALID_ARGUMENT: more than one job begins so, or a word that the command does not take.
// NOT_FOUND: there is none. RESOURCE_EXHAUSTED: more than kMaxSelected.
[[nodiscard]] absl::StatusOr<std::vector<std::string>> select_jobs(
    CallerSession& session, const std::vector<std::string>& words, AllJobs all_jobs);

// The same for a command that takes one job.
[[nodiscard]] absl::StatusOr<std::string> select_job(CallerSession& session,
                                                     const std::string& word);

inline constexpr size_t kMaxSelected = 100'000;

}  // namespace clusterd
