#include "store/sqlite_archive.h"

#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "store/sqlite_store.h"
#include "store/store_archive.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using v1::Job;

std::unique_ptr<SqliteStore> open_store(const std::string& path) {
  auto store = SqliteStore::open(path);
  INFO(store.status());
  REQUIRE(store.ok());
  return *std::move(store);
}

// A store with some of everything, in its second term.
std::unique_ptr<SqliteStore> filled_store(const std::string& path) {
  auto store = open_store(path);
  REQUIRE(store->begin_term().ok());
  REQUIRE(store->begin_term().ok());
  StoreBatch batch;
  batch.put_jobs = {sample_job(1, Job::QUEUED), sample_job(2, Job::RUNNING),
                    sample_job(3, Job::SUCCEEDED), sample_job(4, Job::SUCCEEDED)};
  batch.put_workers = {sample_worker("w1")};
  batch.put_idempotency = {sample_idempotency(std::string("me\0start\0k", 10), "job-1")};
  v1::Event event;
  event.set_seq(7);
  batch.put_events = {event};
  batch.put_schedules = {sample_schedule("nightly")};
  batch.put_queues = {sample_queue("reports")};
  StoreBatch later;
  later.delete_jobs = {"job-4"};
  REQUIRE(store->commit({batch, later}).ok());
  return store;
}

absl::StatusOr<StoreCounts> export_to(const std::string& store, const std::string& archive) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(archive.c_str(), "w"),
                                                               &std::fclose);
  REQUIRE(stream != nullptr);
  return export_sqlite(store, stream.get());
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

void change_by_hand(const std::string& path, const std::string& sql) {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  CHECK(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(handle) == SQLITE_OK);
}

TEST_CASE("an archive that is made while the store is in use brings all of it back",
          "[store][archive]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  const std::string archive = folder.file("archive");
  const auto store = filled_store(path);
  const std::string cluster_id = store->begin_term()->meta.cluster_id();

  const auto exported = export_to(path, archive);
  INFO(exported.status());
  REQUIRE(exported.ok());
  StoreBatch after;  // of a later moment: not in it
  after.put_jobs = {sample_job(5, Job::QUEUED)};
  REQUIRE(store->commit({after}).ok());
  const auto imported = import_sqlite(archive, folder.file("b.db"));

  INFO(imported.status());
  REQUIRE(imported.ok());
  CHECK(imported->at("jobs") == 3);
  CHECK(imported->at("events") == 1);
  CHECK(imported->at("schedules") == 1);
  CHECK(imported->at("queues") == 1);
  const auto copy = open_store(folder.file("b.db"));
  const auto contents = copy->begin_term();
  REQUIRE(contents.ok());
  // Workers know the terms that came after the archive was written.
  CHECK(contents->meta.epoch() > 1'700'000'000);
  CHECK(contents->meta.cluster_id() == cluster_id);
  CHECK(contents->meta.last_job_seq() == 4);
  CHECK(contents->meta.last_event_seq() == 7);
  CHECK(contents->live_jobs.size() == 2);
  REQUIRE(contents->workers.size() == 1);
  REQUIRE(contents->schedules.size() == 1);
  CHECK(contents->schedules[0].SerializeAsString() ==
        sample_schedule("nightly").SerializeAsString());
  REQUIRE(contents->queues.size() == 1);
  CHECK(contents->queues[0].name() == "reports");
  CHECK(copy->find_job("job-3")->state() == Job::SUCCEEDED);
  CHECK(copy->find_job("job-3")->SerializeAsString() ==
        store->find_job("job-3")->SerializeAsString());
  CHECK(absl::IsNotFound(copy->find_job("job-4").status()));
  CHECK((*copy->find_idempotency(std::string("me\0start\0k", 10)))->subject_id() == "job-1");
  CHECK(*copy->find_doomed(sample_job(4, Job::SUCCEEDED).worker_id(), 10) ==
        *store->find_doomed(sample_job(4, Job::SUCCEEDED).worker_id(), 10));
}

TEST_CASE("an archive that was cut or changed is refused, and makes no store", "[store][archive]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  const std::string archive = folder.file("archive");
  const auto store = filled_store(path);
  REQUIRE(export_to(path, archive).ok());
  const std::string whole = text_of(archive);

  for (size_t size : {whole.size() - 1, whole.size() / 2, size_t{30}}) {
    write_text(archive, whole.substr(0, size));
    CHECK(absl::IsDataLoss(import_sqlite(archive, folder.file("b.db")).status()));
  }
  for (size_t at = 40; at < whole.size(); at += 97) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write_text(archive, changed);
    INFO(at);
    CHECK(absl::IsDataLoss(import_sqlite(archive, folder.file("b.db")).status()));
  }
  write_text(archive, "clusterd store archive 2\n" + whole.substr(25));
  const auto newer = import_sqlite(archive, folder.file("b.db"));
  CHECK(newer.status().message().find("a newer clusterd") != std::string::npos);
  write_text(archive, "hello, I am a poem about something else\n");
  CHECK(absl::IsFailedPrecondition(import_sqlite(archive, folder.file("b.db")).status()));
  CHECK(absl::IsNotFound(import_sqlite(folder.file("none"), folder.file("b.db")).status()));
  CHECK(text_of(folder.file("b.db")).empty());
}

TEST_CASE("an import replaces nothing", "[store][archive]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  const auto store = filled_store(path);
  REQUIRE(export_to(path, folder.file("archive")).ok());

  CHECK(absl::IsAlreadyExists(import_sqlite(folder.file("archive"), path).status()));
}

TEST_CASE("a check of a sound store counts, and one of a damaged store names what is wrong",
          "[store][archive]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  auto store = filled_store(path);
  const auto sound = check_sqlite(path);
  REQUIRE(sound.ok());
  CHECK(sound->faults.empty());
  CHECK(sound->counts.at("jobs") == 3);
  store.reset();

  change_by_hand(path, "UPDATE jobs SET record = x'ff' WHERE job_id = 'job-2'");
  change_by_hand(path, "UPDATE workers SET worker_id = 'w9'");

  const auto check = check_sqlite(path);
  REQUIRE(check.ok());
  REQUIRE(check->faults.size() == 2);
  CHECK(check->faults[0] == "jobs job-2: the record is damaged");
  CHECK(check->faults[1] == "workers w9: the record is another's");
  // What does not parse travels, and is set aside.
  REQUIRE(export_to(path, folder.file("archive")).ok());
  const auto imported = import_sqlite(folder.file("archive"), folder.file("b.db"));
  REQUIRE(imported.ok());
  CHECK(imported->at("damaged") == 1);
  CHECK(check_sqlite(folder.file("b.db"))->counts.at("set aside") == 1);
}

TEST_CASE("what is no store, or of another format, is neither exported nor checked",
          "[store][archive]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  CHECK(absl::IsNotFound(check_sqlite(path).status()));
  filled_store(path).reset();
  change_by_hand(path, "PRAGMA user_version = 99");
  CHECK(absl::IsFailedPrecondition(check_sqlite(path).status()));
  CHECK(absl::IsFailedPrecondition(export_to(path, folder.file("archive")).status()));
  write_text(folder.file("poem"), std::string(5000, 'x'));
  CHECK_FALSE(check_sqlite(folder.file("poem")).ok());
}

}  // namespace
}  // namespace clusterd
