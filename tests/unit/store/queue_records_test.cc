// What the queue keeps: tasks, events, deleted jobs, request keys. All stores behave the same.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "core/proto_time.h"
#include "unit/store/sample_records.h"
#include "unit/store/stores_under_test.h"

namespace clusterd {
namespace {

using v1::Job;

Job sample_array(uint64_t seq, uint32_t tasks) {
  Job array = sample_job(seq, Job::RUNNING);
  array.mutable_spec()->mutable_array()->set_to(tasks - 1);
  return array;
}

Job sample_task(const Job& array, uint32_t index, Job::State state) {
  Job task = sample_job(array.seq(), state);
  task.set_job_id(array.job_id() + "." + std::to_string(index));
  return task;
}

Job with_output_on(Job job, const std::string& worker_id) {
  v1::Attempt& attempt = *job.add_attempts();
  attempt.set_number(1);
  attempt.set_worker_id(worker_id);
  attempt.mutable_start_time()->set_seconds(1);
  return job;
}

Job ended_at(uint64_t seq, int64_t second) {
  Job job = sample_job(seq, Job::SUCCEEDED);
  job.mutable_end_time()->set_seconds(second);
  return job;
}

void put(Store& store, std::vector<Job> jobs) {
  StoreBatch batch;
  batch.put_jobs = std::move(jobs);
  REQUIRE(store.commit({&batch, 1}).ok());
}

std::vector<std::string> ids_in(const absl::StatusOr<v1::ListJobsResponse>& page) {
  REQUIRE(page.ok());
  std::vector<std::string> ids;
  for (const Job& job : page->jobs()) ids.push_back(job.job_id());
  return ids;
}

TEMPLATE_TEST_CASE("a task without a record is made from its array", "[store]", CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  REQUIRE(store.begin_term().ok());
  const Job array = sample_array(1, 3);
  put(store, {array, sample_task(array, 1, Job::RUNNING)});

  CHECK(store.find_job("job-1.1")->state() == Job::RUNNING);
  CHECK(store.find_job("job-1.2")->state() == Job::QUEUED);
  CHECK(absl::IsNotFound(store.find_job("job-1.3").status()));
  CHECK(absl::IsNotFound(store.find_job("job-9.0").status()));
  CHECK(*store.recorded_tasks("job-1") == RecordedTasks{{1, Job::RUNNING}});
  const auto contents = store.begin_term();
  REQUIRE(contents->live_jobs.size() == 2);
  CHECK(contents->live_jobs[0].job_id() == "job-1");  // before its tasks
  CHECK(contents->recorded_tasks.at("job-1") == RecordedTasks{{1, Job::RUNNING}});
}

TEMPLATE_TEST_CASE("tasks are listed by index, in pages that go on where they ended", "[store]",
                   CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  REQUIRE(store.begin_term().ok());
  const Job array = sample_array(1, 6);
  put(store, {array, sample_task(array, 1, Job::FAILED), sample_task(array, 4, Job::FAILED),
              sample_job(2, Job::QUEUED)});
  v1::ListTasksRequest request;
  request.set_job_id("job-1");
  request.set_page_size(4);

  const auto first = store.list_tasks(request);
  CHECK(ids_in(first) == std::vector<std::string>{"job-1.0", "job-1.1", "job-1.2", "job-1.3"});
  request.set_page_token(first->next_page_token());
  const auto second = store.list_tasks(request);
  CHECK(ids_in(second) == std::vector<std::string>{"job-1.4", "job-1.5"});
  CHECK(second->next_page_token().empty());

  request.clear_page_token();
  request.add_state(Job::FAILED);
  CHECK(ids_in(store.list_tasks(request)) == std::vector<std::string>{"job-1.1", "job-1.4"});
  request.set_page_size(1);
  const auto one = store.list_tasks(request);
  CHECK(ids_in(one) == std::vector<std::string>{"job-1.1"});
  request.set_page_token(one->next_page_token());
  CHECK(ids_in(store.list_tasks(request)) == std::vector<std::string>{"job-1.4"});
  request.set_page_token("nonsense");
  CHECK(absl::IsInvalidArgument(store.list_tasks(request).status()));
  request.set_job_id("job-2");
  CHECK(absl::IsFailedPrecondition(store.list_tasks(request).status()));
  request.set_job_id("job-3");
  CHECK(absl::IsNotFound(store.list_tasks(request).status()));
}

TEMPLATE_TEST_CASE("the newest events are kept, and a gap is told", "[store]", CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  REQUIRE(store.begin_term().ok());
  StoreBatch batch;
  for (uint64_t seq = 1; seq <= 8; ++seq) {
    batch.put_events.emplace_back().set_seq(seq);
    batch.put_events.back().set_deleted_job_id("job-" + std::to_string(seq));
  }
  REQUIRE(store.commit({&batch, 1}).ok());

  const auto events = store.read_events(5, 2);
  REQUIRE(events->size() == 2);
  CHECK((*events)[0].seq() == 6);
  CHECK((*events)[1].deleted_job_id() == "job-7");
  CHECK(store.read_events(3, 10)->size() == 5);
  CHECK(absl::IsOutOfRange(store.read_events(2, 10).status()));
  CHECK(store.read_events(8, 10)->empty());
  CHECK(store.begin_term()->meta.last_event_seq() == 8);
}

TEMPLATE_TEST_CASE("a deleted job leaves word of its output until the worker has deleted it",
                   "[store]", CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  REQUIRE(store.begin_term().ok());
  const Job array = sample_array(2, 4);
  put(store, {with_output_on(ended_at(1, 1), "w1"), array,
              with_output_on(sample_task(array, 0, Job::SUCCEEDED), "w1"),
              with_output_on(sample_task(array, 1, Job::SUCCEEDED), "w2")});

  StoreBatch deletion;
  deletion.delete_jobs = {"job-1", "job-2"};
  REQUIRE(store.commit({&deletion, 1}).ok());

  CHECK(absl::IsNotFound(store.find_job("job-1").status()));
  CHECK(absl::IsNotFound(store.find_job("job-2.0").status()));
  StoreBatch upkeep;
  upkeep.upkeep = WallTime();
  REQUIRE(store.commit({&upkeep, 1}).ok());
  CHECK(store.recorded_tasks("job-2")->empty());
  CHECK(*store.find_doomed("w1", 10) == std::vector<std::string>{"job-1", "job-2.0"});
  CHECK(store.find_doomed("w1", 1)->size() == 1);
  CHECK(*store.find_doomed("w2", 10) == std::vector<std::string>{"job-2.1"});

  StoreBatch done;
  done.delete_doomed = {{"w1", "job-1"}};
  REQUIRE(store.commit({&done, 1}).ok());
  CHECK(*store.find_doomed("w1", 10) == std::vector<std::string>{"job-2.0"});
}

TEMPLATE_TEST_CASE("a job that was refused is forgotten without a word", "[store]",
                   CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  REQUIRE(store.begin_term().ok());
  put(store, {with_output_on(sample_job(1, Job::STARTING), "w1")});

  StoreBatch batch;
  batch.forget_jobs = {"job-1"};
  REQUIRE(store.commit({&batch, 1}).ok());

  CHECK(absl::IsNotFound(store.find_job("job-1").status()));
  CHECK(store.find_doomed("w1", 10)->empty());
}

TEMPLATE_TEST_CASE("what is too old or too much is found, the oldest first", "[store]",
                   CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  REQUIRE(store.begin_term().ok());
  const Job array = sample_array(9, 2);
  put(store, {ended_at(1, 30), ended_at(2, 10), ended_at(3, 20), sample_job(4, Job::RUNNING), array,
              sample_task(array, 0, Job::SUCCEEDED)});
  const WallTime at_15{std::chrono::seconds(15)};

  CHECK(*store.find_expired(at_15, 100, 10) == std::vector<std::string>{"job-2"});
  CHECK(*store.find_expired(at_15, 1, 10) == std::vector<std::string>{"job-2", "job-3"});
  CHECK(*store.find_expired(WallTime(), 0, 2) == std::vector<std::string>{"job-2", "job-3"});
  CHECK(store.find_expired(WallTime(), 3, 10)->empty());
}

TEMPLATE_TEST_CASE("old request keys go once their job has gone", "[store]", CLUSTERD_STORES) {
  TestType held;
  Store& store = *held;
  REQUIRE(store.begin_term().ok());
  StoreBatch batch;
  const Job array = sample_array(3, 2);
  batch.put_jobs = {ended_at(1, 1), ended_at(2, 1), array, sample_task(array, 0, Job::FAILED)};
  batch.put_idempotency = {sample_idempotency("kept", "job-1"), sample_idempotency("gone", "job-2"),
                           sample_idempotency("of a task", array.job_id() + ".0")};
  REQUIRE(store.commit({&batch, 1}).ok());
  StoreBatch deletion;
  deletion.delete_jobs = {"job-2", array.job_id()};
  REQUIRE(store.commit({&deletion, 1}).ok());
  CHECK(store.find_idempotency("gone")->has_value());  // it is young

  StoreBatch upkeep;
  upkeep.upkeep = WallTime(std::chrono::seconds(10));
  REQUIRE(store.commit({&upkeep, 1}).ok());

  CHECK(store.find_idempotency("kept")->has_value());
  CHECK_FALSE(store.find_idempotency("gone")->has_value());
  CHECK_FALSE(store.find_idempotency("of a task")->has_value());
}

}  // namespace
}  // namespace clusterd
