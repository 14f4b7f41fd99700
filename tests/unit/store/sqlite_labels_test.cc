// How jobs are found by their labels in SQLite: the rows that lead to them, and what a page costs.
#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "store/job_query.h"
#include "store/sqlite_archive.h"
#include "store/sqlite_database.h"
#include "store/sqlite_repair.h"
#include "store/sqlite_store.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using v1::Job;

constexpr size_t kPage = 4096;  // of SQLite

Job labelled(uint64_t seq, Job::State state, const std::string& key, const std::string& value) {
  Job job = sample_job(seq, state);
  (*job.mutable_spec()->mutable_labels())[key] = value;
  return job;
}

// A store, and a connection beside it that looks into its file.
struct Held {
  void commit(const StoreBatch& batch) { REQUIRE(store->commit({&batch, 1}).ok()); }
  void commit(const Job& job) { commit(batch_of(job)); }
  void open() {
    auto opened = SqliteStore::open(path);
    INFO(opened.status());
    REQUIRE(opened.ok());
    store = *std::move(opened);
    REQUIRE(store->begin_term().ok());
  }
  std::unique_ptr<SqliteDatabase> look() const {
    return *SqliteDatabase::open(path, SqliteDatabase::Access::kReadWrite, "");
  }
  int64_t count_labels() const { return *look()->query_integer("SELECT count(*) FROM job_labels"); }
  std::vector<uint64_t> list(const std::vector<std::string>& labels) {
    v1::ListJobsRequest request;
    for (const std::string& label : labels) request.add_label(label);
    const auto page = store->list_jobs(request);
    REQUIRE(page.ok());
    std::vector<uint64_t> seqs;
    for (const Job& job : page->jobs()) seqs.push_back(job.seq());
    return seqs;
  }

  TemporaryFolder folder;
  std::string path = folder.file("a.db");
  std::unique_ptr<SqliteStore> store;
};

struct Opened : Held {
  Opened() { open(); }
};

using Seqs = std::vector<uint64_t>;

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST_CASE("labels are written with a job's first record alone, and go with the last", "[store]") {
  Opened held;
  held.commit(labelled(1, Job::QUEUED, "team", "a"));
  CHECK(held.count_labels() == 2);
  held.look()->execute("DELETE FROM job_labels").IgnoreError();

  held.commit(labelled(1, Job::RUNNING, "team", "a"));
  CHECK(held.count_labels() == 0);

  StoreBatch two = batch_of(labelled(2, Job::QUEUED, "team", "a"));
  two.put_jobs.push_back(labelled(3, Job::STARTING, "team", "b"));
  held.commit(two);
  CHECK(held.list({"team"}) == Seqs{3, 2});
  StoreBatch gone;
  gone.delete_jobs = {"job-2"};
  gone.forget_jobs = {"job-3"};
  held.commit(gone);
  CHECK(held.count_labels() == 0);
}

TEST_CASE("jobs without labels and tasks of arrays have none in the index", "[store]") {
  Opened held;
  held.commit(sample_job(1, Job::QUEUED));
  Job task = labelled(2, Job::RUNNING, "team", "a");
  task.set_job_id("job-1.5");
  held.commit(task);

  CHECK(held.count_labels() == 0);
}

TEST_CASE("a job that was put and deleted in one commit leaves no label", "[store]") {
  Opened held;
  StoreBatch both = batch_of(labelled(1, Job::FAILED, "team", "a"));
  both.delete_jobs = {"job-1"};
  held.commit(both);

  CHECK(held.count_labels() == 0);
}

TEST_CASE("a label that does not lead to its job is found by a check, and mended by a repair",
          "[store][repair]") {
  Opened held;
  held.commit(labelled(1, Job::QUEUED, "team", "a"));
  held.commit(labelled(2, Job::QUEUED, "team", "b"));
  CHECK(check_sqlite(held.path)->faults.empty());
  REQUIRE(held.look()->execute("DELETE FROM job_labels WHERE label = 'team=a'").ok());
  CHECK(held.list({"team=a"}).empty());
  held.store.reset();

  CHECK(check_sqlite(held.path)->faults ==
        std::vector<std::string>{"jobs job-1: a label does not lead to it"});
  const auto repair = repair_sqlite(held.path);
  INFO(repair.status());
  REQUIRE(repair.ok());

  CHECK(check_sqlite(held.path)->faults.empty());
  held.open();
  CHECK(held.list({"team=a"}) == Seqs{1});
}

TEST_CASE("a store of format 4 with a damaged page is opened, and its sound jobs are found",
          "[store][repair]") {
  constexpr uint64_t kJobs = 200;
  Opened held;
  StoreBatch batch;
  for (uint64_t seq = 1; seq <= kJobs; ++seq) {
    batch.put_jobs.push_back(labelled(seq, Job::SUCCEEDED, "team", "a"));
    batch.put_jobs.back().mutable_spec()->add_args("argument of job " + std::to_string(seq));
  }
  held.commit(batch);
  held.store.reset();
  REQUIRE(held.look()
              ->execute("DROP TABLE job_labels; PRAGMA user_version = 4;"
                        "PRAGMA wal_checkpoint(TRUNCATE)")
              .ok());
  std::ifstream file(held.path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const size_t place = bytes.rfind("argument of job 100") / kPage * kPage;
  bytes.replace(place, kPage, kPage, '\x5a');
  write_bytes(held.path, bytes);

  held.open();

  const int64_t found =
      *held.look()->query_integer("SELECT count(*) FROM job_labels WHERE label = 'team=a'");
  CHECK(found < static_cast<int64_t>(kJobs));
  CHECK(found > static_cast<int64_t>(kJobs) - 40);
}

namespace {

constexpr uint64_t kMany = 30'000;

// Of many jobs a few old ones are rare, those of even number one half, and of odd the other.
StoreBatch many_jobs() {
  StoreBatch batch;
  for (uint64_t seq = 1; seq <= kMany; ++seq) {
    Job job = labelled(seq, seq == 7 ? Job::RUNNING : Job::SUCCEEDED, "kind",
                       seq <= 5 ? "early" : "common");
    (*job.mutable_spec()->mutable_labels())[seq % 2 == 0 ? "even" : "odd"] = "";
    job.mutable_spec()->set_name("nightly");
    job.set_worker_id("w1");
    batch.put_jobs.push_back(std::move(job));
  }
  return batch;
}

int add_one(void* steps) {
  ++*static_cast<int64_t*>(steps);
  return 0;
}

struct Cost {
  v1::ListJobsResponse page;
  int64_t steps = 0;  // of SQLite's machine
};

Cost cost_of(SqliteDatabase& database, const v1::ListJobsRequest& request) {
  Cost cost;
  sqlite3_progress_handler(database.handle(), 1, add_one, &cost.steps);
  auto page = JobQuery(database, request).run();
  sqlite3_progress_handler(database.handle(), 0, nullptr, nullptr);
  INFO(page.status());
  REQUIRE(page.ok());
  cost.page = *std::move(page);
  return cost;
}

}  // namespace

TEST_CASE("a page costs what it shows, however rare or common each of its conditions is",
          "[store]") {
  constexpr int64_t kFew = 30'000;  // a walk through all jobs takes more than 100,000
  Opened held;
  held.commit(many_jobs());
  const auto database = held.look();
  v1::ListJobsRequest request;
  int jobs = 100;

  SECTION("no condition") {}
  SECTION("a common label") { request.add_label("kind=common"); }
  SECTION("a label of the oldest") {
    request.add_label("kind=early");
    jobs = 5;
  }
  SECTION("a label that nobody has") {
    request.add_label("kind=none");
    jobs = 0;
  }
  SECTION("a common label, of the oldest") {
    request.add_label("kind");
    request.add_label("kind=early");
    jobs = 5;
  }
  SECTION("a common label, and a rare state") {
    request.add_label("kind");
    request.add_state(Job::RUNNING);
    request.add_state(Job::LOST);
    jobs = 1;
  }
  SECTION("a common name of a common worker, and a rare state") {
    request.set_name("nightly");
    request.set_worker_id("w1");
    request.add_state(Job::RUNNING);
    jobs = 1;
  }
  SECTION("every second job") {
    request.add_label("even");
    request.add_label("kind");
    request.add_state(Job::SUCCEEDED);
  }

  const Cost cost = cost_of(*database, request);

  CHECK(cost.page.jobs_size() == jobs);
  CHECK(cost.page.next_page_token().empty() == (jobs < 100));
  CHECK(cost.steps < kFew);
}

TEST_CASE("where conditions never meet a page ends early, and its token goes on from there",
          "[store]") {
  Opened held;
  held.commit(many_jobs());
  const auto database = held.look();
  v1::ListJobsRequest request;
  request.add_label("even");
  request.add_label("odd");
  int pages = 0;

  do {
    const Cost cost = cost_of(*database, request);
    CHECK(cost.page.jobs().empty());
    CHECK(cost.steps < 20 * static_cast<int64_t>(JobQuery::kMostLooks));
    request.set_page_token(cost.page.next_page_token());
    REQUIRE(++pages < 10);
  } while (!request.page_token().empty());

  CHECK(pages == kMany / JobQuery::kMostLooks + 1);
}

}  // namespace clusterd
