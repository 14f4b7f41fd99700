// Stores that older builds left, from tests/recorded.
#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "core/proto_time.h"
#include "store/sqlite_archive.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_store.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using v1::Job;

constexpr const char* kSucceeded = "01a20e58-1d50-7d83-a8fe-3e700cb75a25";
constexpr const char* kStopped = "01a20e58-2981-7517-b536-4862360754ad";
const WallTime kLater{std::chrono::hours(24 * 365 * 100)};

void run_by_hand(const std::string& path, const std::string& sql) {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(handle) == SQLITE_OK);
}

class OldStore {
 public:
  explicit OldStore(const std::string& recording) {
    std::ifstream file(CLUSTERD_SOURCE_DIR "/tests/recorded/" + recording);
    REQUIRE(file.good());
    std::stringstream sql;
    sql << file.rdbuf();
    run_by_hand(path, sql.str());
  }

  std::unique_ptr<SqliteStore> open() const {
    auto store = SqliteStore::open(path);
    INFO(store.status());
    REQUIRE(store.ok());
    return *std::move(store);
  }

  TemporaryFolder folder;
  std::string path = folder.file("clusterd.db");
};

TEST_CASE("a store of format 1 is brought to the present one with all that it holds", "[store]") {
  const OldStore old("store_format_1.sql");

  const auto store = old.open();
  const auto contents = store->begin_term();

  REQUIRE(contents.ok());
  CHECK(contents->meta.schema_version() == kStoreSchemaVersion);
  CHECK(contents->meta.epoch() == 2);
  CHECK(contents->meta.last_job_seq() == 7);
  REQUIRE(contents->live_jobs.size() == 3);
  CHECK(contents->live_jobs[0].state() == Job::RUNNING);
  CHECK(contents->live_jobs[2].state() == Job::QUEUED);
  REQUIRE(contents->workers.size() == 1);
  CHECK(contents->workers[0].worker().name() == "w1");
  CHECK(contents->ended_counts ==
        std::map<Job::State, uint64_t>{{Job::SUCCEEDED, 2}, {Job::FAILED, 1}, {Job::STOPPED, 1}});
  const auto named = store->find_job(kSucceeded);
  REQUIRE(named.ok());
  CHECK(named->spec().labels().at("team") == "a");
}

TEST_CASE("a store of format 2 is brought to the present one, and keeps schedules from then on",
          "[store]") {
  const OldStore old("store_format_2.sql");
  {
    const auto store = old.open();
    const auto contents = store->begin_term();
    REQUIRE(contents.ok());
    CHECK(contents->meta.schema_version() == kStoreSchemaVersion);
    CHECK(contents->live_jobs.size() == 3);
    CHECK(contents->ended_counts.at(Job::SUCCEEDED) == 2);
    StoreBatch batch;
    batch.put_schedules = {sample_schedule("nightly")};
    batch.put_queues = {sample_queue("reports")};
    REQUIRE(store->commit({batch}).ok());
  }

  const auto contents = old.open()->begin_term();

  REQUIRE(contents.ok());
  CHECK(contents->schedules.size() == 1);
  CHECK(contents->queues.size() == 1);
}

TEST_CASE("a store of format 3 is opened, and what is written from then on has checksums",
          "[store]") {
  const OldStore old("store_format_3.sql");
  {
    const auto store = old.open();
    const auto contents = store->begin_term();
    REQUIRE(contents.ok());
    CHECK(contents->meta.schema_version() == kStoreSchemaVersion);
    CHECK(contents->set_aside.empty());
    REQUIRE(contents->live_jobs.size() == 2);
    CHECK(contents->live_jobs[0].state() == Job::RUNNING);
    CHECK(contents->ended_counts.at(Job::SUCCEEDED) == 3);
    CHECK(contents->schedules.size() == 1);
    CHECK(contents->queues.size() == 1);
    const StoreBatch batch = batch_of(contents->live_jobs[0]);
    REQUIRE(store->commit({&batch, 1}).ok());
  }
  const auto check = check_sqlite(old.path);
  REQUIRE(check.ok());
  CHECK(check->faults.empty());
  CHECK(check->counts.at("jobs") == 10);
  // As it would be without its last byte, which is of the checksum.
  run_by_hand(old.path, "UPDATE jobs SET record = substr(record, 1, length(record) - 1)");
  CHECK(check_sqlite(old.path)->faults.size() == 10);
}

TEST_CASE("the jobs of a store of format 4 are found by their labels", "[store]") {
  const OldStore old("store_format_4.sql");
  const auto store = old.open();
  REQUIRE(store->begin_term()->meta.schema_version() == kStoreSchemaVersion);
  const auto list = [&store](const std::string& label) {
    v1::ListJobsRequest request;
    request.add_label(label);
    const auto page = store->list_jobs(request);
    REQUIRE(page.ok());
    std::vector<uint64_t> seqs;
    for (const Job& job : page->jobs()) seqs.push_back(job.seq());
    return seqs;
  };

  CHECK(list("team") == std::vector<uint64_t>{5, 3, 2, 1});
  CHECK(list("team=a") == std::vector<uint64_t>{5, 3, 1});
  CHECK(list("run=2") == std::vector<uint64_t>{5});
  CHECK(check_sqlite(old.path)->faults.empty());
}

TEST_CASE("what a migrated store holds can be deleted by age, with its request keys", "[store]") {
  const OldStore old("store_format_1.sql");
  const auto store = old.open();
  REQUIRE(store->begin_term().ok());

  const auto none = store->find_expired(WallTime{}, 100, 10);
  const auto expired = store->find_expired(kLater, 100, 10);
  StoreBatch deletion;
  deletion.delete_jobs = {kStopped};
  deletion.put_jobs = {sample_job(8, Job::QUEUED)};
  REQUIRE(store->commit({deletion}).ok());

  REQUIRE(none.ok());
  CHECK(none->empty());
  REQUIRE(expired.ok());
  CHECK(expired->size() == 4);
  CHECK(expired->front() == kSucceeded);
  CHECK(absl::IsNotFound(store->find_job(kStopped).status()));
  CHECK(store->find_job("job-8").ok());
}

TEST_CASE("a migration that does not end leaves the old store as it was", "[store]") {
  const OldStore old("store_format_1.sql");
  run_by_hand(old.path, "CREATE TABLE doomed (in_the_way)");

  const absl::Status refused = SqliteStore::open(old.path).status();
  run_by_hand(old.path, "DROP TABLE doomed");

  CHECK_FALSE(refused.ok());
  const auto contents = old.open()->begin_term();
  REQUIRE(contents.ok());
  CHECK(contents->live_jobs.size() == 3);
}

}  // namespace
}  // namespace clusterd
