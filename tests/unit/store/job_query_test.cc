#include "store/job_query.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "core/field_error.h"
#include "support/memory_store.h"
#include "unit/store/sample_records.h"
#include "unit/store/stores_under_test.h"

namespace clusterd {
namespace {

using v1::Job;

// The same answers are expected of the store and of its stand-in.
struct Stores {
  Stores() { REQUIRE(disk().begin_term().ok()); }
  Store& disk() { return *held; }
  void commit(const StoreBatch& batch) {
    REQUIRE(disk().commit({batch}).ok());
    REQUIRE(memory.commit({batch}).ok());
  }
  std::vector<uint64_t> list(const v1::ListJobsRequest& request) {
    std::vector<uint64_t> seqs = list(disk(), request);
    CHECK(list(memory, request) == seqs);
    return seqs;
  }
  static std::vector<uint64_t> list(Store& store, v1::ListJobsRequest request) {
    std::vector<uint64_t> seqs;
    do {
      const auto page = store.list_jobs(request);
      INFO(page.status());
      REQUIRE(page.ok());
      for (const Job& job : page->jobs()) seqs.push_back(job.seq());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return seqs;
  }

  Durable held;
  MemoryStore memory;
};

StoreBatch varied_jobs() {
  StoreBatch batch;
  for (uint64_t seq = 1; seq <= 12; ++seq) {
    Job job = sample_job(seq, seq % 3 == 0 ? Job::FAILED : Job::RUNNING);
    job.set_worker_id(seq % 2 == 0 ? "w1" : "w2");
    if (seq % 4 == 0) job.mutable_spec()->set_name("nightly");
    if (seq % 5 == 0) job.mutable_spec()->set_queue("gpu");
    (*job.mutable_spec()->mutable_labels())["team"] = seq <= 6 ? "a" : "b";
    batch.put_jobs.push_back(job);
  }
  Job task = sample_job(13, Job::RUNNING);
  task.set_job_id("job-1.5");
  batch.put_jobs.push_back(task);
  return batch;
}

using Seqs = std::vector<uint64_t>;

}  // namespace

TEST_CASE("jobs are listed newest first, without the tasks of arrays", "[store]") {
  Stores stores;
  stores.commit(varied_jobs());

  CHECK(stores.list({}) == Seqs{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
}

TEST_CASE("each condition of a list holds, alone and with others", "[store]") {
  Stores stores;
  stores.commit(varied_jobs());
  v1::ListJobsRequest request;

  SECTION("state") {
    request.add_state(Job::FAILED);
    CHECK(stores.list(request) == Seqs{12, 9, 6, 3});
    request.add_state(Job::RUNNING);
    request.add_state(Job::LOST);
    CHECK(stores.list(request).size() == 12);
  }
  SECTION("worker, and state") {
    request.set_worker_id("w1");
    CHECK(stores.list(request) == Seqs{12, 10, 8, 6, 4, 2});
    request.add_state(Job::FAILED);
    CHECK(stores.list(request) == Seqs{12, 6});
  }
  SECTION("name, and worker, and state") {
    request.set_name("nightly");
    CHECK(stores.list(request) == Seqs{12, 8, 4});
    request.set_worker_id("w1");
    request.add_state(Job::RUNNING);
    CHECK(stores.list(request) == Seqs{8, 4});
    request.set_worker_id("w2");
    CHECK(stores.list(request).empty());
  }
  SECTION("queue, and name") {
    request.set_queue("gpu");
    CHECK(stores.list(request) == Seqs{10, 5});
    request.set_queue("default");  // those that name none
    CHECK(stores.list(request) == Seqs{12, 11, 9, 8, 7, 6, 4, 3, 2, 1});
    request.set_queue("gpu");
    request.set_name("nightly");
    CHECK(stores.list(request).empty());
  }
  SECTION("label by value and by key") {
    request.add_label("team=b");
    CHECK(stores.list(request) == Seqs{12, 11, 10, 9, 8, 7});
    request.add_label("team");
    request.add_state(Job::FAILED);
    CHECK(stores.list(request) == Seqs{12, 9});
    request.add_label("other");
    CHECK(stores.list(request).empty());
  }
  SECTION("time of submission, and label, and state, and worker") {
    request.mutable_submitted_since()->set_seconds(4);
    request.mutable_submitted_before()->set_seconds(10);
    CHECK(stores.list(request) == Seqs{9, 8, 7, 6, 5, 4});
    request.add_label("team=a");
    CHECK(stores.list(request) == Seqs{6, 5, 4});
    request.add_state(Job::RUNNING);
    CHECK(stores.list(request) == Seqs{5, 4});
    request.set_worker_id("w1");
    CHECK(stores.list(request) == Seqs{4});
  }
  SECTION("several labels, and queue, and name") {
    request.add_label("team=a");
    request.add_label("team");
    request.set_queue("default");
    CHECK(stores.list(request) == Seqs{6, 4, 3, 2, 1});
    request.set_name("nightly");
    CHECK(stores.list(request) == Seqs{4});
  }
}

TEST_CASE("jobs are found by any of their labels, long ones and many too", "[store]") {
  constexpr int kManyLabels = 100;
  const std::string value(1'000, 'v');
  Stores stores;
  StoreBatch batch;
  for (uint64_t seq = 1; seq <= 4; ++seq) {
    batch.put_jobs.push_back(sample_job(seq, seq % 2 == 0 ? Job::QUEUED : Job::STOPPED));
    auto& labels = *batch.put_jobs.back().mutable_spec()->mutable_labels();
    labels["long"] = value + (seq <= 2 ? "1" : "2");
    labels[value] = "";
    labels["a=b"] = "c";
    for (int i = 0; seq == 3 && i < kManyLabels; ++i) labels["label" + std::to_string(i)] = "x";
  }
  batch.put_jobs[0].mutable_spec()->mutable_labels()->clear();
  stores.commit(batch);
  v1::ListJobsRequest request;

  SECTION("those that differ at their ends alone") {
    request.add_label("long=" + value + "1");
    CHECK(stores.list(request) == Seqs{2});
    request.set_label(0, "long=" + value + "2");
    CHECK(stores.list(request) == Seqs{4, 3});
  }
  SECTION("a long name") {
    request.add_label(value);
    CHECK(stores.list(request) == Seqs{4, 3, 2});
    request.set_label(0, value + "=");
    CHECK(stores.list(request) == Seqs{4, 3, 2});
    request.set_label(0, value + "v");
    CHECK(stores.list(request).empty());
  }
  SECTION("a job of many") {
    for (int i = 0; i < kManyLabels; ++i) request.add_label("label" + std::to_string(i) + "=x");
    CHECK(stores.list(request) == Seqs{3});
    request.add_label("long");
    request.add_state(Job::QUEUED);
    CHECK(stores.list(request).empty());
  }
  SECTION("a name that has a value in it") {
    request.add_label("a=b");
    CHECK(stores.list(request).empty());
  }
}

TEST_CASE("a state that no job can have is nobody's", "[store]") {
  Stores stores;
  stores.commit(varied_jobs());
  v1::ListJobsRequest request;
  request.add_state(static_cast<Job::State>(1'000));
  CHECK(stores.list(request).empty());
  request.add_state(Job::FAILED);
  CHECK(stores.list(request) == Seqs{12, 9, 6, 3});
}

TEST_CASE("pages follow each other without a gap, whatever is accepted in between", "[store]") {
  Stores stores;
  stores.commit(varied_jobs());
  v1::ListJobsRequest request;
  request.set_page_size(5);
  Seqs seqs;

  for (uint64_t newer = 20;; ++newer) {
    const auto page = stores.disk().list_jobs(request);
    REQUIRE(page.ok());
    CHECK(page->jobs_size() <= 5);
    for (const Job& job : page->jobs()) seqs.push_back(job.seq());
    if (page->next_page_token().empty()) break;
    request.set_page_token(page->next_page_token());
    stores.commit(batch_of(sample_job(newer, Job::QUEUED)));
  }

  CHECK(seqs == Seqs{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
}

TEST_CASE("a page holds 100 jobs unless told, and never more than 1,000", "[store]") {
  Stores stores;
  StoreBatch batch;
  for (uint64_t seq = 1; seq <= 1200; ++seq) batch.put_jobs.push_back(sample_job(seq, Job::LOST));
  stores.commit(batch);
  v1::ListJobsRequest request;

  CHECK(stores.disk().list_jobs(request)->jobs_size() == 100);
  request.set_page_size(5000);
  CHECK(stores.disk().list_jobs(request)->jobs_size() == 1000);
  CHECK(stores.list(request).size() == 1200);
}

TEST_CASE("a page that ends on the last job has no next page", "[store]") {
  Stores stores;
  stores.commit(varied_jobs());
  v1::ListJobsRequest request;
  request.set_page_size(12);

  CHECK(stores.disk().list_jobs(request)->next_page_token().empty());
}

TEST_CASE("a page token that is not ours is refused by field", "[store]") {
  Stores stores;
  for (const char* token :
       {"x", "j1", "j1zzzzzzzzzzzzzzzz", "j1ffffffffffffffff", "j1-00000000000001"}) {
    v1::ListJobsRequest request;
    request.set_page_token(token);
    const absl::Status refused = stores.disk().list_jobs(request).status();
    INFO(token);
    CHECK(absl::IsInvalidArgument(refused));
    CHECK(field_of(refused) == "page_token");
  }
}

TEST_CASE("a page of large jobs ends early, so that it fits into one message", "[store]") {
  constexpr size_t kJobBytes = 300'000;
  constexpr size_t kPageBytes = 2U << 20;
  Stores stores;
  StoreBatch batch;
  Seqs newest_first;
  for (uint64_t seq = 1; seq <= 20; ++seq) {
    Job job = sample_job(seq, Job::QUEUED);
    job.mutable_spec()->add_args(std::string(kJobBytes, 'x'));
    batch.put_jobs.push_back(job);
    newest_first.insert(newest_first.begin(), seq);
  }
  stores.commit(batch);
  v1::ListJobsRequest request;
  request.set_page_size(1'000);

  const auto first = stores.disk().list_jobs(request);

  REQUIRE(first.ok());
  CHECK(first->ByteSizeLong() >= kPageBytes);
  CHECK(first->ByteSizeLong() < kPageBytes + 2 * kJobBytes);
  CHECK(!first->next_page_token().empty());
  CHECK(stores.list(request) == newest_first);
}

}  // namespace clusterd
