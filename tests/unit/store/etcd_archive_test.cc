#include "store/etcd_archive.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "store/sqlite_store.h"
#include "support/etcd_store_fixture.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using testing::become_leader;
using testing::InEtcd;
using testing::make_client;
using testing::new_prefix;
using testing::put_key;
using testing::shared_etcd;
using v1::Job;

using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

Stream file_of(const std::string& path) { return {std::fopen(path.c_str(), "w"), &std::fclose}; }

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Some of everything.
void fill(Store& store) {
  REQUIRE(store.begin_term().ok());
  StoreBatch batch;
  Job array = sample_job(3, Job::RUNNING);
  array.mutable_spec()->mutable_array()->set_to(9);
  Job task = sample_job(3, Job::FAILED);
  task.set_job_id("job-3.4");
  Job gone = sample_job(4, Job::SUCCEEDED);
  gone.add_attempts()->set_worker_id("w1");
  gone.mutable_attempts(0)->mutable_start_time()->set_seconds(1);
  batch.put_jobs = {sample_job(1, Job::QUEUED), sample_job(2, Job::SUCCEEDED), array, task, gone};
  batch.put_workers = {sample_worker("w1")};
  batch.put_schedules = {sample_schedule("nightly")};
  batch.put_queues = {sample_queue("gpu")};
  batch.put_idempotency = {sample_idempotency(std::string("me\0start\0k", 10), "job-1")};
  for (uint64_t seq = 1; seq <= 7; ++seq) batch.put_events.emplace_back().set_seq(seq);
  StoreBatch later;
  later.delete_jobs = {"job-4"};
  REQUIRE(store.commit({batch, later}).ok());
}

void check_has_all(Store& store, uint64_t epoch_before, const std::string& cluster_id) {
  const auto contents = store.begin_term();
  INFO(contents.status());
  REQUIRE(contents.ok());
  CHECK(contents->meta.epoch() > epoch_before);
  CHECK(contents->meta.cluster_id() == cluster_id);
  CHECK(contents->meta.last_job_seq() == 4);
  CHECK(contents->meta.last_event_seq() == 7);
  REQUIRE(contents->live_jobs.size() == 2);
  CHECK(contents->recorded_tasks.at("job-3") == RecordedTasks{{4, Job::FAILED}});
  CHECK(contents->workers.size() == 1);
  CHECK(contents->schedules.size() == 1);
  CHECK(contents->queues.size() == 1);
  CHECK(store.find_job("job-2")->state() == Job::SUCCEEDED);
  CHECK((*store.find_idempotency(std::string("me\0start\0k", 10)))->subject_id() == "job-1");
  CHECK(store.read_events(5, 10)->size() == 2);
  CHECK(*store.find_doomed("w1", 10) == std::vector<std::string>{"job-4"});
}

const StoreCounts kAll = {{"jobs", 4},   {"workers", 1},   {"idempotency", 1}, {"events", 7},
                          {"doomed", 1}, {"schedules", 1}, {"queues", 1}};

}  // namespace

TEST_CASE("an archive takes a store from SQLite to etcd and back", "[etcd][archive]") {
  const TemporaryFolder folder;
  const SystemClock clock;
  internal::StoreMeta meta;
  {
    const auto sqlite = *SqliteStore::open(folder.file("a.db"));
    for (int i = 0; i < 5'000; ++i) REQUIRE(sqlite->begin_term().ok());  // beyond any revision
    fill(*sqlite);
    meta = sqlite->begin_term()->meta;
  }
  REQUIRE(*export_sqlite(folder.file("a.db"), file_of(folder.file("1")).get()) == kAll);

  InEtcd held(100);
  const std::string prefix = new_prefix();
  const auto imported = import_etcd(folder.file("1"), *held.client, clock, prefix);
  INFO(imported.status());
  REQUIRE(imported.ok());
  CHECK(*imported == kAll);
  EtcdStore store(*held.client, clock, {.prefix = prefix});
  store.set_leader(become_leader(*held.client, prefix));
  check_has_all(store, meta.epoch(), meta.cluster_id());

  const auto exported = export_etcd(*held.client, prefix, file_of(folder.file("2")).get());
  INFO(exported.status());
  REQUIRE(exported.ok());
  CHECK(*exported == kAll);
  REQUIRE(*import_sqlite(folder.file("2"), folder.file("b.db")) == kAll);
  const auto back = *SqliteStore::open(folder.file("b.db"));
  check_has_all(*back, meta.epoch() + 1, meta.cluster_id());
}

TEST_CASE("an import into etcd replaces nothing, and one that did not end is no store",
          "[etcd][archive]") {
  const TemporaryFolder folder;
  const SystemClock clock;
  InEtcd held;
  fill(*held);
  const std::string prefix = held.options.prefix;
  const std::string archive = folder.file("archive");
  REQUIRE(export_etcd(*held.client, prefix, file_of(archive).get()).ok());

  CHECK(absl::IsAlreadyExists(import_etcd(archive, *held.client, clock, prefix).status()));
  CHECK((*held).begin_term()->live_jobs.size() == 2);

  const std::string other = new_prefix();
  put_key(*held.client, other + "importing", "");
  put_key(*held.client, other + "jobs/job-9", "half");
  EtcdStore store(*held.client, clock, {.prefix = other});
  store.set_leader(become_leader(*held.client, new_prefix()));
  CHECK(absl::IsFailedPrecondition(store.begin_term().status()));
  CHECK(absl::IsFailedPrecondition(check_etcd(*held.client, other).status()));
  CHECK(import_etcd(archive, *held.client, clock, other).ok());
  CHECK(absl::IsNotFound(held.client->get(other + "jobs/job-9", {}).status()));
  CHECK(check_etcd(*held.client, other)->faults.empty());
}

TEST_CASE("a record that etcd does not take is named before anything is written",
          "[etcd][archive]") {
  const TemporaryFolder folder;
  const SystemClock clock;
  const InEtcd held;
  {
    const auto store = *SqliteStore::open(folder.file("a.db"));
    REQUIRE(store->begin_term().ok());
    StoreBatch batch;
    batch.put_jobs = {sample_job(1, Job::QUEUED)};
    batch.put_jobs[0].mutable_spec()->add_args(std::string(1'200'000, 'x'));
    REQUIRE(store->commit({&batch, 1}).ok());
  }
  REQUIRE(export_sqlite(folder.file("a.db"), file_of(folder.file("1")).get()).ok());
  const std::string prefix = new_prefix();

  const absl::Status refused = import_etcd(folder.file("1"), *held.client, clock, prefix).status();

  CHECK(absl::IsFailedPrecondition(refused));
  CHECK_THAT(std::string(refused.message()), Catch::Contains("job job-1 takes 12"));
  CHECK(absl::IsNotFound(held.client->get(prefix + "importing", {}).status()));
}

TEST_CASE("an archive that was cut or changed makes no store in etcd", "[etcd][archive]") {
  const TemporaryFolder folder;
  const SystemClock clock;
  InEtcd held;
  fill(*held);
  const std::string archive = folder.file("archive");
  REQUIRE(export_etcd(*held.client, held.options.prefix, file_of(archive).get()).ok());
  const std::string whole = text_of(archive);
  std::string changed = whole;
  changed[whole.size() / 2] ^= 1;
  const std::string prefix = new_prefix();

  for (const std::string& text : {whole.substr(0, whole.size() - 1), changed}) {
    std::ofstream(archive, std::ios::trunc) << text;
    CHECK(absl::IsDataLoss(import_etcd(archive, *held.client, clock, prefix).status()));
    CHECK(absl::IsNotFound(check_etcd(*held.client, prefix).status()));
  }
}

TEST_CASE("a check of a store in etcd counts, and names what is wrong", "[etcd][archive]") {
  InEtcd held;
  const std::string prefix = held.options.prefix;
  CHECK(absl::IsNotFound(check_etcd(*held.client, prefix).status()));
  fill(*held);
  const auto sound = check_etcd(*held.client, prefix);
  REQUIRE(sound.ok());
  CHECK(sound->faults.empty());
  CHECK(sound->counts.at("jobs") == 4);
  CHECK(sound->counts.at("events") == 7);

  put_key(*held.client, prefix + "jobs/job-8", "\xff\xff");
  put_key(*held.client, prefix + "workers/w8", sample_worker("w9").SerializeAsString());

  CHECK(check_etcd(*held.client, prefix)->faults ==
        std::vector<std::string>{"jobs job-8: the record is damaged",
                                 "workers w8: the record is another's"});
}

}  // namespace clusterd
