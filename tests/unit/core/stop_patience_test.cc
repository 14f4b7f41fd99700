#include "core/stop_patience.h"

#include <catch2/catch.hpp>

#include "core/proto_time.h"

using namespace clusterd;
using std::chrono::seconds;

TEST_CASE("the end of a stopped job is waited for as long as the grace of its stop and a margin",
          "[stop_patience]") {
  v1::Job job;
  *job.mutable_stop_requested()->mutable_grace() = to_proto(seconds(90));
  v1::Job none_at_all;
  *none_at_all.mutable_stop_requested()->mutable_grace() = to_proto(seconds(0));

  CHECK(stop_patience(job) == seconds(95));
  CHECK(stop_patience(none_at_all) == seconds(5));
}

TEST_CASE("where the stop names no grace the job's own is waited for, else the default",
          "[stop_patience]") {
  v1::Job job;
  *job.mutable_spec()->mutable_stop_grace() = to_proto(seconds(20));

  CHECK(stop_patience(job) == seconds(25));
  CHECK(stop_patience({}) == seconds(15));
}

TEST_CASE("who waited in vain is told for how long", "[stop_patience]") {
  v1::Job job;
  job.set_job_id("j1");
  job.set_state(v1::Job::RUNNING);
  *job.mutable_stop_requested()->mutable_grace() = to_proto(seconds(90));
  const absl::Status late = not_stopped_in_time(job);

  CHECK(absl::IsDeadlineExceeded(late));
  CHECK(std::string(late.message()) ==
        "job has not stopped in time: j1 is RUNNING 95 s after the stop; the stop goes on");
}
