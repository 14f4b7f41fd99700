#include "store/sqlite_store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "support/memory_store.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using v1::Job;

std::unique_ptr<SqliteStore> open_store(const std::string& path) {
  absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::open(path);
  INFO(store.status());
  REQUIRE(store.ok());
  return *std::move(store);
}

StoreContents begin_term(Store& store) {
  absl::StatusOr<StoreContents> contents = store.begin_term();
  INFO(contents.status());
  REQUIRE(contents.ok());
  return *std::move(contents);
}

void change_by_hand(const std::string& path, const std::string& sql) {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  CHECK(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(handle) == SQLITE_OK);
}

void check_keeps_what_is_committed(Store& store) {
  const uint64_t first_epoch = begin_term(store).meta.epoch();
  StoreBatch first;
  first.put_jobs = {sample_job(1, Job::QUEUED), sample_job(2, Job::RUNNING),
                    sample_job(3, Job::RUNNING), sample_job(4, Job::QUEUED)};
  first.put_workers = {sample_worker("w1"), sample_worker("w2")};
  StoreBatch second;
  second.put_jobs = {sample_job(2, Job::SUCCEEDED)};
  second.delete_jobs = {"job-4"};
  second.delete_workers = {"w1"};
  second.put_idempotency = {sample_idempotency(std::string("me\0start\0k", 10), "job-1")};

  REQUIRE(store.commit({first, second}).ok());

  const StoreContents contents = begin_term(store);
  CHECK(contents.meta.epoch() == first_epoch + 1);
  CHECK_FALSE(contents.meta.cluster_id().empty());
  CHECK(contents.meta.last_job_seq() == 4);
  REQUIRE(contents.live_jobs.size() == 2);
  CHECK(contents.live_jobs[0].job_id() == "job-1");
  CHECK(contents.live_jobs[1].job_id() == "job-3");
  CHECK(contents.ended_counts == std::map<Job::State, uint64_t>{{Job::SUCCEEDED, 1}});
  REQUIRE(contents.workers.size() == 1);
  CHECK(contents.workers[0].worker().worker_id() == "w2");
  CHECK(store.find_job("job-2")->state() == Job::SUCCEEDED);
  CHECK(absl::IsNotFound(store.find_job("job-4").status()));
  CHECK((*store.find_idempotency(std::string("me\0start\0k", 10)))->subject_id() == "job-1");
  CHECK_FALSE(store.find_idempotency("me")->has_value());
}

}  // namespace

TEST_CASE("what is committed is there at the next term of office", "[store]") {
  const TemporaryFolder folder;
  check_keeps_what_is_committed(*open_store(folder.file("clusterd.db")));
  MemoryStore memory;
  check_keeps_what_is_committed(memory);
}

TEST_CASE("what is committed is there after the store was closed and opened", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("clusterd.db");
  std::string cluster_id;
  {
    const auto store = open_store(path);
    cluster_id = begin_term(*store).meta.cluster_id();
    REQUIRE(store->commit({batch_of(sample_job(7, Job::RUNNING))}).ok());
  }

  const auto store = open_store(path);
  const StoreContents contents = begin_term(*store);

  CHECK(contents.meta.cluster_id() == cluster_id);
  CHECK(contents.meta.epoch() == 2);
  REQUIRE(contents.live_jobs.size() == 1);
  CHECK(contents.live_jobs[0].spec().path() == "count.sh");
}

TEST_CASE("a number that was given to a job is not given again after its deletion", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("clusterd.db");
  {
    const auto store = open_store(path);
    (void)begin_term(*store);
    REQUIRE(store->commit({batch_of(sample_job(9, Job::FAILED))}).ok());
    StoreBatch deletion;
    deletion.delete_jobs = {"job-9"};
    REQUIRE(store->commit({deletion}).ok());
  }

  CHECK(begin_term(*open_store(path)).meta.last_job_seq() == 9);
}

TEST_CASE("a second scheduler cannot open a store that is in use", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("clusterd.db");
  auto store = open_store(path);

  const absl::Status second = SqliteStore::open(path).status();

  CHECK(absl::IsFailedPrecondition(second));
  CHECK(std::string(second.message()).find("another scheduler") != std::string::npos);
  store.reset();
  CHECK(SqliteStore::open(path).ok());
}

TEST_CASE("a store made by a newer program is refused and left as it is", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("clusterd.db");
  open_store(path).reset();
  change_by_hand(path, "PRAGMA user_version = 999");

  const absl::Status refused = SqliteStore::open(path).status();

  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(std::string(refused.message()).find("newer") != std::string::npos);
}

TEST_CASE("a SQLite file of another program is refused", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("other.db");
  change_by_hand(path, "CREATE TABLE theirs (a)");

  CHECK(absl::IsFailedPrecondition(SqliteStore::open(path).status()));
}

TEST_CASE("a store in a folder that does not exist is unavailable", "[store]") {
  const TemporaryFolder folder;

  CHECK(absl::IsUnavailable(SqliteStore::open(folder.file("none/clusterd.db")).status()));
}

TEST_CASE("records that do not parse are set aside, named, and stop nothing", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("clusterd.db");
  {
    const auto store = open_store(path);
    (void)begin_term(*store);
    StoreBatch batch;
    batch.put_jobs = {sample_job(1, Job::QUEUED), sample_job(2, Job::QUEUED),
                      sample_job(3, Job::SUCCEEDED)};
    batch.put_workers = {sample_worker("w1"), sample_worker("w2")};
    REQUIRE(store->commit({batch}).ok());
  }
  change_by_hand(path,
                 "UPDATE jobs SET record = x'ff' WHERE job_id <> 'job-2';"
                 "UPDATE workers SET record = x'ff' WHERE worker_id = 'w1'");

  const auto store = open_store(path);
  const StoreContents contents = begin_term(*store);

  CHECK(contents.set_aside ==
        std::vector<std::string>{"jobs job-1: is damaged", "workers w1: is damaged"});
  REQUIRE(contents.live_jobs.size() == 1);
  CHECK(contents.live_jobs[0].job_id() == "job-2");
  CHECK(contents.workers.size() == 1);
  CHECK(absl::IsNotFound(store->find_job("job-1").status()));
  CHECK(absl::IsDataLoss(store->find_job("job-3").status()));
  CHECK(begin_term(*store).set_aside.empty());
}

TEST_CASE("schedules and queues are kept by name, and deleted", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("clusterd.db");
  {
    const auto store = open_store(path);
    (void)begin_term(*store);
    StoreBatch batch;
    batch.put_schedules = {sample_schedule("b"), sample_schedule("a"), sample_schedule("c")};
    batch.put_queues = {sample_queue("q2"), sample_queue("q1"), sample_queue("q3")};
    StoreBatch later;
    later.put_schedules = {sample_schedule("a")};
    later.put_schedules[0].set_paused(true);
    later.delete_schedules = {"c", "never-there"};
    later.delete_queues = {"q3"};
    REQUIRE(store->commit({batch, later}).ok());
  }

  const StoreContents contents = begin_term(*open_store(path));

  REQUIRE(contents.schedules.size() == 2);
  CHECK(contents.schedules[0].name() == "a");
  CHECK(contents.schedules[0].paused());
  CHECK(contents.schedules[1].SerializeAsString() == sample_schedule("b").SerializeAsString());
  REQUIRE(contents.queues.size() == 2);
  CHECK(contents.queues[0].name() == "q1");
  CHECK(contents.queues[1].name() == "q2");
}

TEST_CASE("schedules and queues that do not parse are set aside and named", "[store]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("clusterd.db");
  {
    const auto store = open_store(path);
    (void)begin_term(*store);
    StoreBatch batch;
    batch.put_schedules = {sample_schedule("a"), sample_schedule("b")};
    batch.put_queues = {sample_queue("q1"), sample_queue("q2")};
    REQUIRE(store->commit({batch}).ok());
  }
  change_by_hand(path,
                 "UPDATE schedules SET record = x'ff' WHERE name = 'a';"
                 "UPDATE queues SET name = 'other' WHERE name = 'q2'");

  const auto store = open_store(path);
  const StoreContents contents = begin_term(*store);

  CHECK(contents.set_aside ==
        std::vector<std::string>{"schedules a: is damaged", "queues other: is damaged"});
  CHECK(contents.schedules.size() == 1);
  CHECK(contents.queues.size() == 1);
  CHECK(begin_term(*store).set_aside.empty());
}

TEST_CASE("nobody but the owner can read the store's files", "[store]") {
  const TemporaryFolder folder;
  const auto store = open_store(folder.file("clusterd.db"));
  (void)begin_term(*store);

  for (const char* name : {"clusterd.db", "clusterd.db-wal", "clusterd.db-shm"}) {
    struct stat info {};
    REQUIRE(::stat(folder.file(name).c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600U);
  }
}

TEST_CASE("the store tells how much room is left", "[store]") {
  const TemporaryFolder folder;

  CHECK(*open_store(folder.file("clusterd.db"))->free_bytes() > 0);
}

}  // namespace clusterd
