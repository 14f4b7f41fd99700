#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "store/sqlite_store.h"
#include "unit/store/probing_vfs.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using v1::Job;

// A store over a file system that is watched.
struct Probed {
  explicit Probed(const std::string& name) : vfs(name) {
    auto opened = SqliteStore::open(path(), {.vfs = vfs.name()});
    INFO(opened.status());
    REQUIRE(opened.ok());
    store = *std::move(opened);
    REQUIRE(store->begin_term().ok());
  }
  [[nodiscard]] std::string path() const { return folder.file("clusterd.db"); }

  TemporaryFolder folder;
  ProbingVfs vfs;
  std::unique_ptr<SqliteStore> store;
};

}  // namespace

TEST_CASE("a commit returns after the log has been synced, once for all its batches", "[store]") {
  Probed probed("sync");
  const uint64_t syncs = probed.vfs.log_syncs;

  REQUIRE(probed.store
              ->commit({batch_of(sample_job(1, Job::QUEUED)), batch_of(sample_job(2, Job::QUEUED))})
              .ok());

  CHECK(probed.vfs.log_syncs == syncs + 1);
  CHECK_FALSE(probed.vfs.log_is_dirty);
}

TEST_CASE("a new term of office is durable when it begins", "[store]") {
  Probed probed("epoch");
  const uint64_t syncs = probed.vfs.log_syncs;

  REQUIRE(probed.store->begin_term().ok());

  CHECK(probed.vfs.log_syncs == syncs + 1);
  CHECK_FALSE(probed.vfs.log_is_dirty);
}

TEST_CASE("what was committed is there when the process dies without a checkpoint", "[store]") {
  const Probed probed("crash");
  REQUIRE(probed.store->commit({batch_of(sample_job(1, Job::RUNNING))}).ok());
  // The files as a crash leaves them; the index of the log is made anew from it.
  const std::string copy = probed.folder.file("copy.db");
  std::filesystem::copy_file(probed.path(), copy);
  std::filesystem::copy_file(probed.path() + "-wal", copy + "-wal");

  auto reopened = SqliteStore::open(copy);

  REQUIRE(reopened.ok());
  const auto contents = (*reopened)->begin_term();
  REQUIRE(contents.ok());
  CHECK(contents->meta.epoch() == 2);
  REQUIRE(contents->live_jobs.size() == 1);
  CHECK(contents->live_jobs[0].job_id() == "job-1");
}

TEST_CASE("a full disk gives an error and leaves what was committed before", "[store]") {
  Probed probed("full");
  REQUIRE(probed.store->commit({batch_of(sample_job(1, Job::RUNNING))}).ok());
  probed.vfs.log_room =
      static_cast<int64_t>(std::filesystem::file_size(probed.path() + "-wal")) + 4096;
  StoreBatch large;
  for (uint64_t seq = 1; seq <= 100; ++seq) {
    large.put_jobs.push_back(sample_job(seq, Job::SUCCEEDED));
    large.put_jobs.back().set_pending_reason(std::string(1000, 'x'));
  }

  CHECK(absl::IsResourceExhausted(probed.store->commit({large})));

  CHECK(probed.store->find_job("job-1")->state() == Job::RUNNING);
  CHECK(absl::IsNotFound(probed.store->find_job("job-2").status()));
  probed.vfs.log_room = INT64_MAX;
  const auto contents = probed.store->begin_term();
  REQUIRE(contents.ok());
  CHECK(contents->meta.last_job_seq() == 1);
  CHECK(probed.store->commit({large}).ok());
}

TEST_CASE("a sync that fails fails the commit, and nothing of it is shown", "[store]") {
  Probed probed("fsync");
  probed.vfs.syncs_fail = true;

  CHECK(absl::IsUnavailable(probed.store->commit({batch_of(sample_job(1, Job::QUEUED))})));

  CHECK(absl::IsNotFound(probed.store->find_job("job-1").status()));
  CHECK(absl::IsUnavailable(probed.store->begin_term().status()));
  probed.vfs.syncs_fail = false;
  CHECK(probed.store->begin_term()->live_jobs.empty());
}

TEST_CASE("the log stays bounded where the checkpoints beside it get nowhere", "[store]") {
  Probed probed("bound");
  probed.vfs.file_writer = std::this_thread::get_id();
  uintmax_t longest = 0;

  for (uint64_t seq = 1; seq <= 160; ++seq) {
    Job job = sample_job(seq % 8, Job::RUNNING);
    // SQLite writes only what differs.
    job.set_pending_reason(std::string(1 << 20, static_cast<char>('A' + seq % 26)));
    REQUIRE(probed.store->commit({batch_of(job)}).ok());
    longest = std::max(longest, std::filesystem::file_size(probed.path() + "-wal"));
  }

  CHECK(longest < (80U << 20));
}

}  // namespace clusterd
