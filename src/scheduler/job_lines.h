#pragma once

#include <cstdint>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "scheduler/decision.h"

namespace clusterd {

// What a scheduler's log says of each job, at the level debug: that it was accepted, that an
// attempt was ordered, that it has ended. A line is kept while the commit that makes it true is
// under way.
struct JobLine {
  bool is_end = false;   // else: accepted
  v1::Job job;           // without its spec and attempts
  uint64_t session = 0;  // of the newest attempt
};

// Adds the lines that this state of a job is worth. `is_new`: it is the job's first.
void add_job_lines(const v1::Job& job, bool is_new, std::vector<JobLine>& lines);
void log_job(const JobLine& line);
void log_order(const Dispatch& dispatch);

}  // namespace clusterd
