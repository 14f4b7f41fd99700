#include "core/stop_patience.h"

#include <catch2/catch.hpp>

#include "core/proto_time.h"

using namespace clusterd;
using std::chrono::seconds;

TEST_CASE("the end of a stopped job is waited for as long as its own grace and a margin",
          "[stop_patience]") {
  v1::JobSpec named;
  *named.mutable_stop_grace() = to_proto(seconds(90));
  v1::JobSpec none_at_all;
  *none_at_all.mutable_stop_grace() = to_proto(seconds(0));

  CHECK(stop_patience(named) == seconds(95));
  CHECK(stop_patience(none_at_all) == seconds(5));
  CHECK(stop_patience({}) == seconds(15));
}

TEST_CASE("who waited in vain is told for how long, and what is not known", "[stop_patience]") {
  v1::Job job;
  job.set_job_id("j1");
  job.set_state(v1::Job::RUNNING);
  const absl::Status unnamed = not_stopped_in_time(job);
  *job.mutable_spec()->mutable_stop_grace() = to_proto(seconds(90));
  const absl::Status named = not_stopped_in_time(job);

  CHECK(absl::IsDeadlineExceeded(named));
  CHECK(std::string(named.message()) ==
        "job has not stopped in time: j1 is RUNNING 95 s after the stop; the stop goes on");
  CHECK(std::string(unnamed.message()).find("15 s") != std::string::npos);
  CHECK(std::string(unnamed.message()).find("jobs.stop_grace") != std::string::npos);
}
