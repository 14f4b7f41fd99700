#include "store/sqlite_repair.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "store/sqlite_database.h"
#include "store/sqlite_store.h"
#include "store/wal_damage.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using v1::Job;

constexpr size_t kPage = 4096;
constexpr uint64_t kJobs = 200;

// A store of many pages, in its third term.
void fill(const std::string& path) {
  auto store = SqliteStore::open(path);
  REQUIRE(store.ok());
  for (int i = 0; i < 3; ++i) REQUIRE((*store)->begin_term().ok());
  StoreBatch batch;
  for (uint64_t i = 1; i <= kJobs; ++i) {
    v1::Job& job =
        batch.put_jobs.emplace_back(sample_job(i, i % 2 == 0 ? Job::QUEUED : Job::SUCCEEDED));
    job.mutable_spec()->add_args("argument of job " + std::to_string(i));
    (*job.mutable_spec()->mutable_labels())["number"] = std::to_string(i);
    batch.put_idempotency.push_back(
        sample_idempotency("key " + std::to_string(i), "job-" + std::to_string(i)));
    batch.put_events.emplace_back().set_seq(i);
  }
  for (int i = 0; i < 50; ++i) {
    batch.put_workers.push_back(sample_worker("w" + std::to_string(i)));
    batch.put_schedules.push_back(sample_schedule("s" + std::to_string(i)));
    batch.put_queues.push_back(sample_queue("q" + std::to_string(i)));
  }
  REQUIRE((*store)->commit({&batch, 1}).ok());
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void flip_bit_of(const std::string& path, const std::string& text) {
  std::string bytes = bytes_of(path);
  const size_t place = bytes.find(text);
  REQUIRE(place != std::string::npos);
  bytes[place + text.size() - 1] ^= 1;
  write_bytes(path, bytes);
}

uint64_t sum(const StoreCounts& counts) {
  uint64_t total = 0;
  for (const auto& [kind, count] : counts) total += count;
  return total;
}

TEST_CASE("a bit that flips in a record is noticed wherever it is read", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill(path);
  flip_bit_of(path, "argument of job 71");

  const auto check = check_sqlite(path);
  REQUIRE(check.ok());
  CHECK(check->faults == std::vector<std::string>{"jobs job-71: the record is damaged"});

  auto store = SqliteStore::open(path);
  REQUIRE(store.ok());
  REQUIRE((*store)->begin_term().ok());
  CHECK(absl::IsDataLoss((*store)->find_job("job-71").status()));
  CHECK((*store)->find_job("job-73").ok());
}

TEST_CASE("a live record in which a bit flips is set aside when a term begins", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill(path);
  flip_bit_of(path, "argument of job 72");

  auto store = SqliteStore::open(path);
  REQUIRE(store.ok());
  const auto contents = (*store)->begin_term();
  REQUIRE(contents.ok());
  CHECK(contents->set_aside == std::vector<std::string>{"jobs job-72: is damaged"});
  CHECK(contents->live_jobs.size() == kJobs / 2 - 1);
}

TEST_CASE("a repair keeps what is sound, sets aside what is not, and keeps the damaged file",
          "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill(path);
  flip_bit_of(path, "argument of job 71");
  const std::string damaged = bytes_of(path);

  const auto repair = repair_sqlite(path);
  INFO(repair.status());
  REQUIRE(repair.ok());
  CHECK(repair->losses == std::vector<std::string>{"jobs job-71: the record is damaged"});
  CHECK(repair->counts.at("jobs") == kJobs - 1);
  CHECK(repair->counts.at("set aside") == 1);
  CHECK(repair->damaged_file == path + ".damaged");
  CHECK(bytes_of(repair->damaged_file) == damaged);
  CHECK(check_sqlite(path)->faults.empty());

  auto store = SqliteStore::open(path);
  REQUIRE(store.ok());
  const auto contents = (*store)->begin_term();
  REQUIRE(contents.ok());
  CHECK(contents->meta.epoch() > 3);
  CHECK(contents->meta.last_job_seq() == kJobs);
  CHECK(contents->live_jobs.size() == kJobs / 2);
  CHECK(contents->workers.size() == 50);
  CHECK((*store)->find_job("job-73")->spec().args(0) == "argument of job 73");
}

TEST_CASE("whichever page is damaged, the others are saved", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill(path);
  const std::string sound = bytes_of(path);
  const StoreCounts all = check_sqlite(path)->counts;
  const size_t pages = sound.size() / kPage;
  REQUIRE(pages > 30);
  size_t with_losses = 0;
  for (size_t page = 1; page < pages; ++page) {
    INFO("page " << page + 1 << " of " << pages);
    std::string damaged = sound;
    damaged.replace(page * kPage, kPage, kPage, '\x5a');
    write_bytes(path, damaged);
    const auto repair = repair_sqlite(path);
    INFO(repair.status());
    REQUIRE(repair.ok());
    // Most pages hold a few rows, some all of a small table, and one how those of a table are
    // found.
    CHECK(sum(repair->counts) + 2 * kJobs >= sum(all));
    if (sum(repair->counts) < sum(all)) {
      ++with_losses;
      CHECK_FALSE(repair->losses.empty());
    }
    auto store = SqliteStore::open(path);
    REQUIRE(store.ok());
    const auto contents = (*store)->begin_term();
    REQUIRE(contents.ok());
    CHECK(contents->set_aside.empty());
    CHECK(contents->meta.epoch() >= 4);
    store->reset();
    std::filesystem::remove(repair->damaged_file);
  }
  CHECK(with_losses > pages / 4);
}

// Leaves the log of its commits beside the file, as a process does that is killed.
void fill_and_die(const std::string& path, const std::string& copy) {
  auto store = SqliteStore::open(path);
  REQUIRE(store.ok());
  REQUIRE((*store)->begin_term().ok());
  for (uint64_t i = 1; i <= 20; ++i) {
    v1::Job job = sample_job(i, Job::QUEUED);
    job.mutable_spec()->add_args("argument of job " + std::to_string(i) + ".");
    const StoreBatch batch = batch_of(job);
    REQUIRE((*store)->commit({&batch, 1}).ok());
  }
  for (const char* end : {"", "-wal"}) write_bytes(copy + end, bytes_of(path + end));
}

TEST_CASE("commits that are lost with the log are told, and a copy of it is kept",
          "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill_and_die(folder.file("first.db"), path);
  CHECK(*keep_damaged_log(path) == "");
  flip_bit_of(path + "-wal", "argument of job 9.");
  const std::string damaged = bytes_of(path + "-wal");
  const std::string file = bytes_of(path);

  const auto check = check_sqlite(path);
  REQUIRE(check.ok());
  REQUIRE(check->faults.size() == 1);
  CHECK(check->faults[0].find("12 commits are lost") != std::string::npos);

  SECTION("when a scheduler starts") {
    auto store = SqliteStore::open(path);
    REQUIRE(store.ok());
    const auto contents = (*store)->begin_term();
    REQUIRE(contents.ok());
    REQUIRE(contents->set_aside.size() == 1);
    CHECK(contents->set_aside[0].find("12 commits are lost; copies are") != std::string::npos);
    CHECK(contents->live_jobs.size() == 8);
    CHECK((*store)->begin_term()->set_aside.empty());
  }
  SECTION("when it is repaired") {
    const auto repair = repair_sqlite(path);
    INFO(repair.status());
    REQUIRE(repair.ok());
    REQUIRE(repair->losses.size() == 1);
    CHECK(repair->losses[0].find("12 commits are lost") != std::string::npos);
    CHECK(repair->counts.at("jobs") == 8);
  }
  CHECK(bytes_of(path + ".damaged-wal") == damaged);
  CHECK(bytes_of(path + ".damaged") == file);
  CHECK(*keep_damaged_log(path) == "");
}

TEST_CASE("a log that ends within a commit, as after a crash, is no damage", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill_and_die(folder.file("first.db"), path);
  const std::string whole = bytes_of(path + "-wal");
  for (size_t cut = 1; cut < 3 * kPage; cut += 97) {
    write_bytes(path + "-wal", whole.substr(0, whole.size() - cut));
    CHECK_FALSE(find_wal_damage(path + "-wal")->has_value());
  }
  write_bytes(path + "-wal", "");
  CHECK_FALSE(find_wal_damage(path + "-wal")->has_value());
  CHECK_FALSE(find_wal_damage(folder.file("none"))->has_value());
}

TEST_CASE("a damaged head of the log loses all of it, and is told", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill_and_die(folder.file("first.db"), path);
  const std::string whole = bytes_of(path + "-wal");
  for (size_t byte = 4; byte < 32; ++byte) {
    std::string damaged = whole;
    damaged[byte] ^= 4;
    write_bytes(path + "-wal", damaged);
    const auto damage = find_wal_damage(path + "-wal");
    REQUIRE(damage.ok());
    INFO("byte " << byte);
    REQUIRE(damage->has_value());
    CHECK((*damage)->sound_frames == 0);
    CHECK((*damage)->lost_commits >= 19);
  }
}

TEST_CASE("where row ids lie far apart, no more is lost than what the damaged page had",
          "[store][repair]") {
  const int factor = GENERATE(700, 1300, 2100, 3000, 4700, 7000, 11'000);
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill(path);
  {
    auto database = SqliteDatabase::open(path, SqliteDatabase::Access::kReadWrite, "");
    const std::string spread = "UPDATE jobs SET rowid = rowid * " + std::to_string(factor);
    REQUIRE((*database)->execute(spread).ok());
    REQUIRE((*database)->execute("PRAGMA wal_checkpoint(TRUNCATE)").ok());
  }
  std::string bytes = bytes_of(path);
  const size_t place = bytes.rfind("argument of job 100") / kPage * kPage;
  const std::string page = bytes.substr(place, kPage);
  bytes.replace(place, kPage, kPage, '\x5a');
  write_bytes(path, bytes);

  const auto repair = repair_sqlite(path);
  INFO(repair.status());
  REQUIRE(repair.ok());
  auto store = SqliteStore::open(path);
  REQUIRE(store.ok());
  REQUIRE((*store)->begin_term().ok());
  for (uint64_t i = 1; i <= kJobs; ++i) {
    if ((*store)->find_job("job-" + std::to_string(i)).ok()) continue;
    INFO("job " << i);
    CHECK(page.find("argument of job " + std::to_string(i)) != std::string::npos);
  }
  CHECK(repair->counts.at("jobs") < kJobs);
}

TEST_CASE("of a store that is cut off the rest is saved", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  fill(path);
  const std::string whole = bytes_of(path);
  write_bytes(path, whole.substr(0, whole.size() * 3 / 4));

  const auto repair = repair_sqlite(path);
  INFO(repair.status());
  REQUIRE(repair.ok());
  CHECK_FALSE(repair->losses.empty());
  CHECK(sum(repair->counts) >= 50);
  CHECK(check_sqlite(path)->faults.empty());
}

TEST_CASE("what cannot be repaired is left as it is", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  CHECK(absl::IsNotFound(repair_sqlite(path).status()));
  fill(path);
  {
    auto store = SqliteStore::open(path);
    REQUIRE(store.ok());
    CHECK(absl::IsFailedPrecondition(repair_sqlite(path).status()));
  }
  std::string damaged = bytes_of(path);
  damaged.replace(0, kPage, kPage, '\x5a');
  write_bytes(path, damaged);
  CHECK_FALSE(repair_sqlite(path).ok());
  CHECK(bytes_of(path) == damaged);
  CHECK_FALSE(std::filesystem::exists(path + ".damaged"));
  CHECK_FALSE(std::filesystem::exists(path + ".repairing"));
}

TEST_CASE("tasks whose array is lost are not kept", "[store][repair]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.db");
  {
    auto store = SqliteStore::open(path);
    REQUIRE(store.ok());
    REQUIRE((*store)->begin_term().ok());
    StoreBatch batch;
    v1::Job array = sample_job(1, Job::RUNNING);
    array.mutable_spec()->mutable_array()->set_to(1);
    array.mutable_spec()->add_args("argument of the array");
    v1::Job task = sample_job(1, Job::RUNNING);
    task.set_job_id("job-1.0");
    batch.put_jobs = {array, task};
    REQUIRE((*store)->commit({&batch, 1}).ok());
  }
  flip_bit_of(path, "argument of the array");

  const auto repair = repair_sqlite(path);
  REQUIRE(repair.ok());
  CHECK(repair->counts.at("jobs") == 0);
  CHECK(repair->losses ==
        std::vector<std::string>{"jobs job-1: the record is damaged",
                                 "jobs: 1 tasks, whose array is lost or was deleted"});
}

}  // namespace
}  // namespace clusterd
