#include "clusterd/job_states.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

using v1::Job;
using v1::JobEnd;

JobEnd end_with(JobEnd::Reason reason) {
  JobEnd end;
  end.set_reason(reason);
  return end;
}

Job ended(Job::State state, const JobEnd& end = {}) {
  Job job;
  job.set_state(state);
  *job.mutable_end() = end;
  return job;
}

TEST_CASE("five states are final, the others are not", "[job_states]") {
  for (const Job::State state :
       {Job::SUCCEEDED, Job::FAILED, Job::STOPPED, Job::TIMED_OUT, Job::LOST}) {
    CHECK(is_final(state));
  }
  for (const Job::State state : {Job::QUEUED, Job::STARTING, Job::RUNNING}) {
    CHECK_FALSE(is_final(state));
  }
}

TEST_CASE("each reason belongs to one state", "[job_states]") {
  CHECK(state_of(end_with(JobEnd::SIGNALED)) == Job::FAILED);
  CHECK(state_of(end_with(JobEnd::OUT_OF_MEMORY)) == Job::FAILED);
  CHECK(state_of(end_with(JobEnd::START_FAILED)) == Job::FAILED);
  CHECK(state_of(end_with(JobEnd::OUTPUT_LIMIT)) == Job::FAILED);
  CHECK(state_of(end_with(JobEnd::DEPENDENCY_FAILED)) == Job::FAILED);
  CHECK(state_of(end_with(JobEnd::QUEUE_TIMED_OUT)) == Job::FAILED);
  CHECK(state_of(end_with(JobEnd::RUN_TIMED_OUT)) == Job::TIMED_OUT);
  CHECK(state_of(end_with(JobEnd::STOP_REQUESTED)) == Job::STOPPED);
  CHECK(state_of(end_with(JobEnd::CANCELLED_BEFORE_START)) == Job::STOPPED);
  CHECK(state_of(end_with(JobEnd::WORKER_LOST)) == Job::LOST);
  CHECK(state_of(end_with(JobEnd::EXIT_STATUS_UNKNOWN)) == Job::LOST);
}

TEST_CASE("an exit is a success only with a known code of 0", "[job_states]") {
  JobEnd end = end_with(JobEnd::EXITED);
  CHECK(state_of(end) == Job::FAILED);
  end.set_exit_code(0);
  CHECK(state_of(end) == Job::SUCCEEDED);
  end.set_exit_code(3);
  CHECK(state_of(end) == Job::FAILED);
}

TEST_CASE("a reason from a newer version is LOST, never a success", "[job_states]") {
  CHECK(state_of(end_with(static_cast<JobEnd::Reason>(99))) == Job::LOST);
  CHECK(state_of(JobEnd()) == Job::LOST);
}

TEST_CASE("a waiting command exits as the job did", "[job_states]") {
  JobEnd exited = end_with(JobEnd::EXITED);
  exited.set_exit_code(37);
  JobEnd signaled = end_with(JobEnd::SIGNALED);
  signaled.set_signal(11);

  CHECK(exit_code_of(ended(Job::SUCCEEDED)) == 0);
  CHECK(exit_code_of(ended(Job::FAILED, exited)) == 37);
  CHECK(exit_code_of(ended(Job::FAILED, signaled)) == 128 + 11);
  CHECK(exit_code_of(ended(Job::FAILED, end_with(JobEnd::START_FAILED))) == 126);
  CHECK(exit_code_of(ended(Job::FAILED, end_with(JobEnd::QUEUE_TIMED_OUT))) == 1);
  CHECK(exit_code_of(ended(Job::TIMED_OUT)) == 124);
  CHECK(exit_code_of(ended(Job::LOST)) == 125);
  CHECK(exit_code_of(ended(Job::STOPPED, signaled)) == 130);
  CHECK(exit_code_of(ended(Job::RUNNING)) == 125);
}

TEST_CASE("states have plain names", "[job_states]") {
  CHECK(name_of(Job::RUNNING) == "RUNNING");
  CHECK(name_of(Job::TIMED_OUT) == "TIMED_OUT");
}

}  // namespace
}  // namespace clusterd
