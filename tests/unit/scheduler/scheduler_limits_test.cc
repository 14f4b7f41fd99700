// Jobs with limits go only where these can be enforced.
#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "core/limits_check.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

v1::JobSpec with_memory_limit(const std::string& worker = "") {
  v1::JobSpec spec = spec_for(worker);
  spec.mutable_limits()->set_memory_bytes(64ULL << 20);
  return spec;
}

v1::ExplainJobResponse explain(ClusterOfFakes& cluster, const std::string& job_id) {
  v1::ExplainJobRequest request;
  request.set_job_id(job_id);
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.explain(call, request));
  return std::get<v1::ExplainJobResponse>(**cluster.reply(call));
}

TEST_CASE("a job with a limit waits for a worker that can enforce it", "[limits]") {
  ClusterOfFakes cluster;
  cluster.join("without", 4, {{"memory_bytes", "pids"}});
  cluster.submit(with_memory_limit());
  cluster.submit(spec_for());

  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);
  CHECK(cluster.query("job-1").pending_reason() ==
        "no worker that takes jobs can enforce its limits");
  CHECK(cluster.query("job-2").state() == v1::Job::STARTING);
  const v1::ExplainJobResponse why = explain(cluster, "job-1");
  REQUIRE(why.workers_size() == 1);
  REQUIRE(why.workers(0).reasons_size() == 1);
  CHECK(why.workers(0).reasons(0) == "cannot enforce limits.memory_bytes");

  const std::string with = cluster.join("with", 1, {{"pids"}});

  CHECK(cluster.query("job-1").state() == v1::Job::STARTING);
  CHECK(cluster.query("job-1").worker_id() == with);
  CHECK(cluster.worker("with").unenforced_limits_size() == 1);
}

TEST_CASE("a job that names a worker that cannot enforce its limit is refused", "[limits]") {
  ClusterOfFakes cluster;
  cluster.join("w", 4, {{"memory_bytes"}});

  const absl::Status refused = cluster.reply(cluster.submit(with_memory_limit("w")))->status();

  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(field_of(refused) == "limits.memory_bytes");
  CHECK_THAT(std::string(refused.message()), Catch::Contains("worker w cannot enforce it"));
}

TEST_CASE("a worker of a version that knew no limits enforces none", "[limits]") {
  ClusterOfFakes cluster;
  cluster.join("old", 4, std::nullopt);
  cluster.submit(with_memory_limit());

  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);
  CHECK(cluster.worker("old").unenforced_limits_size() == static_cast<int>(all_limits().size()));
}

TEST_CASE("a worker that learns to enforce a limit gets the jobs that waited", "[limits]") {
  ClusterOfFakes cluster;
  cluster.join("w", 4, {{"memory_bytes"}});
  cluster.submit(with_memory_limit());
  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);

  cluster.join("w", 4);

  CHECK(cluster.query("job-1").state() == v1::Job::STARTING);
}

}  // namespace
}  // namespace clusterd
