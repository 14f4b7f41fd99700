#include "store/etcd_store.h"

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "store/etcd_index.h"
#include "store/word_table.h"
#include "support/etcd_store_fixture.h"
#include "unit/store/sample_records.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using testing::InEtcd;
using testing::new_prefix;
using testing::shared_etcd;
using v1::Job;

int64_t revision_of(EtcdClient& client) {
  etcdserverpb::RangeRequest request;
  request.set_key("/none");
  const auto answer = client.range(request, {});
  REQUIRE(answer.ok());
  return answer->header().revision();
}

}  // namespace

TEST_CASE("batches that come together become few transactions", "[etcd]") {
  InEtcd held;
  REQUIRE((*held).begin_term().ok());
  std::vector<StoreBatch> batches;
  for (uint64_t seq = 1; seq <= 100; ++seq) {
    batches.push_back(batch_of(sample_job(seq, Job::QUEUED)));
    batches.push_back(batch_of(sample_job(seq, Job::STARTING)));
    batches.back().put_events.emplace_back().set_seq(seq);
  }
  const int64_t before = revision_of(*held.client);

  REQUIRE((*held).commit(batches).ok());

  // Each transaction is one revision: of a job the last word alone was written.
  CHECK(revision_of(*held.client) == before + 1);
  CHECK((*held).find_job("job-100")->state() == Job::STARTING);
}

TEST_CASE("stores below different prefixes do not see each other", "[etcd]") {
  InEtcd one;
  InEtcd two;
  REQUIRE((*one).begin_term().ok());
  REQUIRE((*two).begin_term().ok());
  REQUIRE((*one).commit({batch_of(sample_job(1, Job::QUEUED))}).ok());

  CHECK((*two).begin_term()->live_jobs.empty());
  CHECK(absl::IsNotFound((*two).find_job("job-1").status()));
}

TEST_CASE("without a term of office nothing is listed and nothing is committed", "[etcd]") {
  InEtcd held;

  CHECK(absl::IsUnavailable((*held).list_jobs({}).status()));
  CHECK(absl::IsFailedPrecondition((*held).commit({batch_of(sample_job(1, Job::QUEUED))})));
}

TEST_CASE("old revisions are forgotten while the store is written", "[etcd]") {
  InEtcd held(shared_etcd(),
              {.prefix = new_prefix(), .care = {.compact_every = 50ms, .ask_every = 20ms}});
  REQUIRE((*held).begin_term().ok());
  const int64_t old = revision_of(*held.client);

  absl::Status status;
  for (uint64_t seq = 1; status.ok(); ++seq) {
    REQUIRE((*held).commit({batch_of(sample_job(seq, Job::QUEUED))}).ok());
    etcdserverpb::RangeRequest request;
    request.set_key("/none");
    request.set_revision(old);
    status = held.client->range(request, {}).status();
    REQUIRE(seq < 100'000);
  }

  CHECK(absl::IsOutOfRange(status));
}

TEST_CASE("reads beside commits see whole records", "[etcd]") {
  InEtcd held;
  REQUIRE((*held).begin_term().ok());
  REQUIRE((*held).commit({batch_of(sample_job(1, Job::QUEUED))}).ok());
  std::jthread reader([&held](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto page = (*held).list_jobs({});
      if (!page.ok() || page->jobs_size() < 1) std::terminate();
    }
  });

  for (uint64_t seq = 2; seq < 200; ++seq) {
    REQUIRE((*held).commit({batch_of(sample_job(seq, Job::QUEUED))}).ok());
  }

  CHECK((*held).list_jobs({})->jobs_size() == 100);
}

TEST_CASE("words of records are kept while a record has them", "[etcd]") {
  WordTable words;
  const auto gpu = words.take("gpu");
  CHECK(words.take("gpu") == gpu);
  CHECK(words.take("") == WordTable::kEmpty);
  words.drop(gpu);
  CHECK(words.find("gpu") == gpu);
  words.drop(gpu);
  CHECK_FALSE(words.find("gpu").has_value());
  CHECK(words.take("cpu") == gpu);  // its place is used again
  CHECK(words.size() == 1);
}

TEST_CASE("the index finds jobs by what they have now", "[etcd]") {
  EtcdIndex index;
  const auto list = [&index](const v1::ListJobsRequest& request) {
    std::vector<uint64_t> seqs;
    for (const auto& row : index.list(request, 100, 10).rows) seqs.push_back(row.seq);
    return seqs;
  };
  v1::ListJobsRequest running;
  running.add_state(Job::RUNNING);
  running.set_worker_id("w1");
  v1::ListJobsRequest labelled;
  labelled.add_label("team=a");
  for (uint64_t seq = 1; seq <= 3; ++seq) {
    Job job = sample_job(seq, Job::QUEUED);
    (*job.mutable_spec()->mutable_labels())["team"] = seq == 2 ? "b" : "a";
    index.put(job);
    job.set_state(Job::RUNNING);
    job.set_worker_id(seq == 3 ? "w2" : "w1");
    index.put(job);
  }

  CHECK(list(running) == std::vector<uint64_t>{2, 1});
  CHECK(list(labelled) == std::vector<uint64_t>{3, 1});
  index.erase("job-1");
  CHECK(list(running) == std::vector<uint64_t>{2});
  CHECK(list(labelled) == std::vector<uint64_t>{3});
  index.erase("job-3");
  CHECK(list(labelled).empty());
  CHECK(index.list(labelled, 100, 10).at_end);
}

TEST_CASE("the index is looked at for a bounded time, and goes on from there", "[etcd]") {
  constexpr uint64_t kJobs = 20'000;
  EtcdIndex index;
  for (uint64_t seq = 1; seq <= kJobs; ++seq) {
    Job job = sample_job(seq, Job::QUEUED);
    (*job.mutable_spec()->mutable_labels())[seq % 2 == 0 ? "even" : "odd"] = "";
    if (seq == 1) (*job.mutable_spec()->mutable_labels())["even"] = "";
    index.put(job);
  }
  v1::ListJobsRequest request;
  request.add_label("even");
  request.add_label("odd");
  EtcdIndex::Found found{.rows = {}, .below = kJobs + 1};
  size_t times = 0;

  while (!found.at_end && found.rows.empty()) {
    found = index.list(request, found.below, 10);
    ++times;
  }

  REQUIRE(found.rows.size() == 1);
  CHECK(found.rows[0].seq == 1);
  CHECK(times >= kJobs / EtcdIndex::kMostLooks);
}

}  // namespace clusterd
