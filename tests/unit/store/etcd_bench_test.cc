// How fast EtcdStore is, beside an etcd that is only written to.
#include <malloc.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <iostream>
#include <string>

#include "core/ids.h"
#include "support/etcd_store_fixture.h"
#include "unit/store/sample_records.h"

namespace clusterd {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;
using testing::EtcdServer;
using testing::InEtcd;
using v1::Job;

double seconds_since(steady_clock::time_point begin) {
  return duration<double>(steady_clock::now() - begin).count();
}

// As accepted jobs are: an id, a command with arguments, an environment, labels.
Job usual_job(uint64_t seq) {
  Job job = sample_job(seq, Job::QUEUED);
  job.set_job_id(new_uuid_v7(WallTime(std::chrono::milliseconds(seq))));
  job.set_submitted_by("token/ci");
  job.mutable_spec()->set_name("nightly-" + std::to_string(seq % 50));
  job.mutable_spec()->set_queue("gpu");
  for (const char* word : {"--from", "2024-01-01", "--to", "2024-12-31", "--verbose"}) {
    job.mutable_spec()->add_args(word);
  }
  (*job.mutable_spec()->mutable_env())["REGION"] = "eu-central-1";
  (*job.mutable_spec()->mutable_labels())["team"] = "data";
  return job;
}

// What one accepted job brings: its record and an event.
StoreBatch accepted(uint64_t seq) {
  StoreBatch batch = batch_of(usual_job(seq));
  v1::Event& event = batch.put_events.emplace_back();
  event.set_seq(seq);
  return batch;
}

// Writes the same records as fast as one who batches them can.
double write_bare(EtcdClient& client, const std::vector<StoreBatch>& batches) {
  constexpr size_t kPutsOfTransaction = 110;
  const auto begin = steady_clock::now();
  etcdserverpb::TxnRequest request;
  const auto flush = [&] {
    const auto answer = client.txn(request, {.timeout = std::chrono::seconds(20)});
    REQUIRE(answer.ok());
    request.Clear();
  };
  for (const StoreBatch& batch : batches) {
    auto& put = *request.add_success()->mutable_request_put();
    put.set_key("/bare/" + batch.put_jobs[0].job_id());
    put.set_value(batch.put_jobs[0].SerializeAsString());
    if (request.success_size() == kPutsOfTransaction) flush();
  }
  if (request.success_size() > 0) flush();
  return seconds_since(begin);
}

}  // namespace

TEST_CASE("jobs are accepted at half the speed of a bare writer or more", "[etcd][bench]") {
  constexpr uint64_t kJobs = 10'000;
  constexpr size_t kBatchesOfCommit = 500;  // what a busy store thread finds
  EtcdServer server({.syncs = true});
  InEtcd held(server, {});
  REQUIRE((*held).begin_term().ok());
  std::vector<StoreBatch> batches;
  for (uint64_t seq = 1; seq <= kJobs; ++seq) batches.push_back(accepted(seq));
  (void)write_bare(*held.client, {batches.begin(), batches.begin() + 500});

  const double bare = write_bare(*held.client, batches);
  const auto begin = steady_clock::now();
  for (size_t i = 0; i < batches.size(); i += kBatchesOfCommit) {
    REQUIRE((*held).commit(absl::MakeConstSpan(batches).subspan(i, kBatchesOfCommit)).ok());
  }
  const double ours = seconds_since(begin);

  std::cout << "accepted: " << kJobs / ours << " jobs/s, bare writer: " << kJobs / bare
            << " jobs/s, ratio " << bare / ours << "\n";
  CHECK(bare / ours >= 0.5);
}

TEST_CASE("100,000 queued jobs are loaded within 10 s, in bounded memory", "[etcd][bench]") {
  constexpr uint64_t kJobs = 100'000;
  EtcdServer server;
  InEtcd held(server, {});
  REQUIRE((*held).begin_term().ok());
  for (uint64_t seq = 1; seq <= kJobs; seq += 1'000) {
    std::vector<StoreBatch> batches;
    for (uint64_t i = 0; i < 1'000; ++i) batches.push_back(accepted(seq + i));
    REQUIRE((*held).commit(batches).ok());
  }
  const SystemClock clock;
  EtcdStore other(*held.client, clock, held.options);
  other.set_leader(testing::become_leader(*held.client, held.options.prefix));
  malloc_trim(0);
  const size_t before = mallinfo2().uordblks;

  const auto begin = steady_clock::now();
  auto contents = other.begin_term();
  const double seconds = seconds_since(begin);

  REQUIRE(contents.ok());
  CHECK(contents->live_jobs.size() == kJobs);
  contents = absl::CancelledError();
  const double bytes = static_cast<double>(mallinfo2().uordblks - before) / kJobs;
  const auto listed = steady_clock::now();
  v1::ListJobsRequest request;
  request.add_state(Job::FAILED);  // none: all are looked at
  CHECK(other.list_jobs(request)->jobs().empty());
  const double scan = seconds_since(listed);
  const auto paged = steady_clock::now();
  CHECK(other.list_jobs({})->jobs_size() == 100);
  std::cout << "loaded in " << seconds << " s, index " << bytes
            << " bytes a job, a list that finds "
            << "nothing " << scan << " s, a page of 100 " << seconds_since(paged) << " s\n";
  CHECK(seconds < 10);
  CHECK(bytes < 600);
}

}  // namespace clusterd
