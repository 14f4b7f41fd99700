#include "cli/job_end.h"

#include <cstdio>
#include <string>

#include "cli/caller_session.h"
#include "cli/describe.h"
#include "cli/exit_codes.h"
#include "cli/hints.h"
#include "cli/print.h"
#include "clusterd/job_states.h"

namespace clusterd {

int print_end(const v1::Job& job, bool as_json) {
  const int failed = as_json ? print_json(job) : kExitOk;
  if (failed != kExitOk) return failed;
  if (job.state() != v1::Job::SUCCEEDED) tell("job " + job.job_id() + " " + summary_of(job));
  if (const std::string hint = hint_of_end(job); !as_json && !hint.empty())
    std::fprintf(stderr, "  %s\n", hint.c_str());
  return exit_code_of(job);
}

void tell_skipped(const OutputAssembler& output) {
  if (output.skipped() == 0) return;
  tell(std::to_string(output.skipped()) + " bytes of output were released before they were read");
}

}  // namespace clusterd
