// What a term of office starts from, in every store.
#include <catch2/catch.hpp>
#include <string>

#include "unit/store/sample_records.h"
#include "unit/store/stores_under_test.h"

namespace clusterd {
namespace {

using v1::Job;

StoreContents begun(Store& store) {
  absl::StatusOr<StoreContents> contents = store.begin_term();
  INFO(contents.status());
  REQUIRE(contents.ok());
  return *std::move(contents);
}

}  // namespace

TEMPLATE_TEST_CASE("a term of office finds what the last one has committed", "[store]",
                   CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  const uint64_t epoch = begun(store).meta.epoch();
  const std::string cluster_id = begun(store).meta.cluster_id();
  StoreBatch first;
  first.put_jobs = {sample_job(3, Job::RUNNING), sample_job(1, Job::QUEUED),
                    sample_job(2, Job::RUNNING), sample_job(4, Job::QUEUED)};
  first.put_workers = {sample_worker("w1"), sample_worker("w2")};
  first.put_schedules = {sample_schedule("nightly"), sample_schedule("hourly")};
  first.put_queues = {sample_queue("gpu"), sample_queue("batch")};
  StoreBatch second;
  second.put_jobs = {sample_job(2, Job::SUCCEEDED)};
  second.delete_jobs = {"job-4"};
  second.delete_workers = {"w1"};
  second.delete_schedules = {"hourly"};
  second.delete_queues = {"gpu"};
  REQUIRE(store.commit({first, second}).ok());

  const StoreContents contents = begun(store);

  CHECK(contents.meta.epoch() == epoch + 2);
  CHECK(contents.meta.cluster_id() == cluster_id);
  CHECK(contents.meta.last_job_seq() == 4);
  REQUIRE(contents.live_jobs.size() == 2);
  CHECK(contents.live_jobs[0].job_id() == "job-1");
  CHECK(contents.live_jobs[1].job_id() == "job-3");
  CHECK(contents.ended_counts == std::map<Job::State, uint64_t>{{Job::SUCCEEDED, 1}});
  REQUIRE(contents.workers.size() == 1);
  CHECK(contents.workers[0].worker().worker_id() == "w2");
  REQUIRE(contents.schedules.size() == 1);
  CHECK(contents.schedules[0].cron() == "@daily");
  REQUIRE(contents.queues.size() == 1);
  CHECK(contents.queues[0].name() == "batch");
  CHECK(contents.set_aside.empty());
}

TEMPLATE_TEST_CASE("a term of office begins without the reasons why jobs wait", "[store]",
                   CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  (void)begun(store);
  Job job = sample_job(1, Job::QUEUED);
  job.set_pending_reason("waits for room on its worker");
  REQUIRE(store.commit({batch_of(job)}).ok());

  const StoreContents contents = begun(store);

  REQUIRE(contents.live_jobs.size() == 1);
  CHECK(contents.live_jobs[0].pending_reason().empty());
  CHECK(store.find_job("job-1")->pending_reason() == "waits for room on its worker");
}

TEMPLATE_TEST_CASE("the number of a deleted job is not given again", "[store]", CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  (void)begun(store);
  REQUIRE(store.commit({batch_of(sample_job(9, Job::FAILED))}).ok());
  StoreBatch deletion;
  deletion.delete_jobs = {"job-9"};
  REQUIRE(store.commit({deletion}).ok());

  CHECK(begun(store).meta.last_job_seq() == 9);
}

TEMPLATE_TEST_CASE("a job is found by its external id until it is deleted", "[store]",
                   CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  (void)begun(store);
  Job job = sample_job(1, Job::FAILED);
  job.set_external_id("order 7");
  REQUIRE(store.commit({batch_of(job), batch_of(sample_job(2, Job::QUEUED))}).ok());
  v1::ListJobsRequest request;
  request.set_external_id("order 7");
  REQUIRE(store.list_jobs(request)->jobs_size() == 1);
  CHECK(store.list_jobs(request)->jobs(0).job_id() == "job-1");
  (void)begun(store);
  CHECK(store.list_jobs(request)->jobs_size() == 1);

  StoreBatch deletion;
  deletion.delete_jobs = {"job-1"};
  REQUIRE(store.commit({deletion}).ok());

  CHECK(store.list_jobs(request)->jobs().empty());
}

TEMPLATE_TEST_CASE("one batch of thousands of records is committed whole", "[store]",
                   CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  (void)begun(store);
  StoreBatch batch;
  for (uint64_t seq = 1; seq <= 2'000; ++seq) {
    batch.put_jobs.push_back(sample_job(seq, Job::QUEUED));
    batch.put_jobs.back().mutable_spec()->add_args(std::string(2'000, 'x'));
  }
  REQUIRE(store.commit({batch}).ok());
  CHECK(begun(store).live_jobs.size() == 2'000);
  for (Job& job : batch.put_jobs) batch.delete_jobs.push_back(job.job_id());
  batch.put_jobs.clear();

  REQUIRE(store.commit({batch}).ok());

  CHECK(begun(store).live_jobs.empty());
}

}  // namespace clusterd
