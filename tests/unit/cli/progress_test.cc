#include "cli/progress.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

using namespace std::chrono_literals;

v1::Job array(uint64_t succeeded, uint64_t failed, uint64_t running, uint64_t queued) {
  v1::Job job;
  job.set_state(v1::Job::RUNNING);
  auto& counts = *job.mutable_task_counts();
  counts["SUCCEEDED"] = succeeded;
  counts["FAILED"] = failed;
  counts["RUNNING"] = running;
  counts["QUEUED"] = queued;
  return job;
}

TEST_CASE("progress has counts, rate and time left", "[progress]") {
  CHECK(progress_text(array(497, 3, 8, 492), 100, 10s, std::nullopt) ==
        "500/1000 done, 3 failed, 8 running, 40/s, 12s left");
  CHECK(progress_text(array(0, 0, 8, 92), 0, 10s, std::nullopt) == "0/100 done, 8 running");
  CHECK(progress_text(array(100, 0, 0, 0), 0, 50s, std::nullopt) ==
        "100/100 done, 0 running, 2.0/s");
}

TEST_CASE("a job that says how far it is has that in the place of tasks", "[progress]") {
  v1::Job job;
  job.set_state(v1::Job::RUNNING);
  CHECK(progress_text(job, 0, 0s, std::nullopt) == "RUNNING");
  job.mutable_progress()->set_done(50);
  job.mutable_progress()->set_total(100);
  CHECK(progress_text(job, 0, 0s, std::nullopt) == "50 of 100");
  CHECK(progress_text(job, 0, 0s, 100).starts_with("[===============>"));
  job.set_state(v1::Job::SUCCEEDED);
  CHECK(progress_text(job, 0, 0s, std::nullopt) == "SUCCEEDED");
}

TEST_CASE("a terminal has a bar, a narrow one has none", "[progress]") {
  CHECK(progress_text(array(50, 0, 0, 50), 50, 0s, 100).starts_with("[===============>"));
  CHECK(progress_text(array(50, 0, 0, 50), 50, 0s, 60).starts_with("50/100 done"));
}

TEST_CASE("a job without tasks is shown by its state", "[progress]") {
  v1::Job job;
  job.set_state(v1::Job::QUEUED);
  job.set_pending_reason("no free slot");

  CHECK(progress_text(job, 0, 1s, 100) == "QUEUED: no free slot");
}

}  // namespace
}  // namespace clusterd
