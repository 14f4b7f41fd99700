#include "clusterd/job_states.h"

namespace clusterd {

using v1::Job;
using v1::JobEnd;

bool is_final(Job::State state) { return state >= Job::SUCCEEDED; }

Job::State state_of(const JobEnd& end) {
  switch (end.reason()) {
    case JobEnd::EXITED:
      return end.has_exit_code() && end.exit_code() == 0 ? Job::SUCCEEDED : Job::FAILED;
    case JobEnd::SIGNALED:
    case JobEnd::OUT_OF_MEMORY:
    case JobEnd::START_FAILED:
    case JobEnd::OUTPUT_LIMIT:
    case JobEnd::DEPENDENCY_FAILED:
    case JobEnd::QUEUE_TIMED_OUT:
      return Job::FAILED;
    case JobEnd::RUN_TIMED_OUT:
      return Job::TIMED_OUT;
    case JobEnd::STOP_REQUESTED:
    case JobEnd::CANCELLED_BEFORE_START:
      return Job::STOPPED;
    default:  // a reason that a newer worker knows and we do not is unknown, never success
      return Job::LOST;
  }
}

int exit_code_of(const Job& job) {
  constexpr int kTimedOut = 124;
  constexpr int kUnknown = 125;
  constexpr int kStartFailed = 126;
  constexpr int kSignalBase = 128;
  constexpr int kStopped = 130;
  switch (job.state()) {
    case Job::SUCCEEDED:
      return 0;
    case Job::STOPPED:
      return kStopped;
    case Job::TIMED_OUT:
      return kTimedOut;
    case Job::FAILED:
      if (job.end().reason() == JobEnd::START_FAILED) return kStartFailed;
      if (job.end().has_exit_code() && job.end().exit_code() != 0) return job.end().exit_code();
      if (job.end().has_signal()) return kSignalBase + job.end().signal();
      return 1;
    default:
      return kUnknown;
  }
}

std::string_view name_of(Job::State state) { return Job::State_Name(state); }

}  // namespace clusterd
