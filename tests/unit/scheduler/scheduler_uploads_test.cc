// Scripts that come with their jobs go only where they may run, and to readers never.
#include <catch2/catch.hpp>

#include "core/field_error.h"
#include "core/worker_features.h"
#include "support/cluster_of_fakes.h"

namespace clusterd {
namespace {

const std::string kContent = "#!/bin/sh\necho uploaded\n";

v1::JobSpec with_script(const std::string& worker = "") {
  v1::JobSpec spec = spec_for(worker);
  spec.mutable_script()->set_content(kContent);
  spec.mutable_script()->set_sha256("digest");
  return spec;
}

v1::ExplainJobResponse explain(ClusterOfFakes& cluster, const std::string& job_id) {
  v1::ExplainJobRequest request;
  request.set_job_id(job_id);
  const CallId call = cluster.next_call++;
  cluster.apply(cluster.scheduler.explain(call, request));
  return std::get<v1::ExplainJobResponse>(**cluster.reply(call));
}

TEST_CASE("a job with its script waits for a worker that runs such ones", "[uploads]") {
  ClusterOfFakes cluster;
  cluster.features = {kKnowsUploads};
  cluster.join("without", 4);
  cluster.submit(with_script());

  CHECK(cluster.query("job-1").state() == v1::Job::QUEUED);
  CHECK(cluster.query("job-1").pending_reason() ==
        "no worker that takes jobs runs scripts that come with them (jobs.allow_uploads)");
  const v1::ExplainJobResponse why = explain(cluster, "job-1");
  REQUIRE(why.workers_size() == 1);
  REQUIRE(why.workers(0).reasons_size() == 1);
  CHECK(why.workers(0).reasons(0) ==
        "does not run scripts that come with their jobs (jobs.allow_uploads)");

  cluster.features = {kKnowsUploads, kRunsUploads};
  const std::string with = cluster.join("with", 1);

  CHECK(cluster.query("job-1").worker_id() == with);
  REQUIRE(cluster.dispatched.size() == 1);
  CHECK(cluster.dispatched[0].attempt.spec().script().content() == kContent);
}

TEST_CASE("a worker that is named says itself where its scripts must lie", "[uploads]") {
  ClusterOfFakes cluster;
  cluster.join("old", 4);
  cluster.features = {kKnowsUploads};
  cluster.join("new", 4);

  const absl::Status refused = cluster.reply(cluster.submit(with_script("old")))->status();
  cluster.submit(with_script("new"));

  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(field_of(refused) == "script");
  CHECK_THAT(std::string(refused.message()), Catch::Contains("worker old"));
  CHECK(cluster.dispatched.size() == 1);
}

TEST_CASE("readers see the digest of a script and not its content; the store keeps both",
          "[uploads]") {
  ClusterOfFakes cluster;
  cluster.submit(with_script());

  CHECK(cluster.query("job-1").spec().script().sha256() == "digest");
  CHECK(cluster.query("job-1").spec().script().content().empty());
  CHECK(cluster.stored("job-1")->spec().script().content() == kContent);
}

TEST_CASE("an array keeps its script once, for all its tasks", "[uploads]") {
  ClusterOfFakes cluster;
  cluster.features = {kKnowsUploads, kRunsUploads};
  cluster.join("w", 2);
  v1::JobSpec spec = with_script();
  spec.mutable_array()->set_from(1);
  spec.mutable_array()->set_to(2);
  cluster.submit(spec);

  REQUIRE(cluster.dispatched.size() == 2);
  for (const Dispatch& order : cluster.dispatched) {
    CHECK(order.attempt.spec().script().content() == kContent);
  }
  CHECK(cluster.stored("job-1.1")->spec().has_script());
  CHECK(cluster.stored("job-1.1")->spec().script().content().empty());
}

TEST_CASE("a script beyond max_upload is refused, and so are too many at one time", "[uploads]") {
  SchedulerConfig::Scheduling scheduling;
  scheduling.max_upload_bytes = 1 << 20;
  scheduling.max_uploads_bytes = 4 << 20;
  ClusterOfFakes cluster(scheduling);
  v1::JobSpec large = with_script();
  large.mutable_script()->set_content(std::string((1 << 20) + 1, 'x'));

  const absl::Status refused = cluster.reply(cluster.submit(large))->status();

  CHECK(absl::IsInvalidArgument(refused));
  CHECK(field_of(refused) == "script.content");
  CHECK_THAT(std::string(refused.message()), Catch::Contains("1048577") && Catch::Contains("1MiB"));

  large.mutable_script()->set_content(std::string(1 << 20, 'x'));
  for (int i = 0; i < 4; ++i) REQUIRE(cluster.reply(cluster.submit(large))->ok());
  CHECK(absl::IsResourceExhausted(cluster.reply(cluster.submit(large))->status()));
  cluster.stop("job-2");  // the first that was accepted
  CHECK(cluster.reply(cluster.submit(large))->ok());
}

}  // namespace
}  // namespace clusterd
