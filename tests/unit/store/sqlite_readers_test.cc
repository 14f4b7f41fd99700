#include "store/sqlite_readers.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "store/sqlite_store.h"
#include "unit/store/sample_records.h"
#include "unit/store/temporary_folder.h"

namespace clusterd {
namespace {

using v1::Job;

// Both jobs of every commit carry the same state, so a list that sees two states saw half of one.
StoreBatch pair_in(Job::State state) {
  StoreBatch batch;
  batch.put_jobs = {sample_job(1, state), sample_job(2, state)};
  return batch;
}

}  // namespace

TEST_CASE("readers beside a writer see whole commits, more of them than connections", "[store]") {
  const TemporaryFolder folder;
  const auto store = *SqliteStore::open(folder.file("clusterd.db"));
  REQUIRE(store->begin_term().ok());
  REQUIRE(store->commit({pair_in(Job::QUEUED)}).ok());
  std::atomic<bool> done = false;
  std::atomic<int> lists = 0;
  std::atomic<int> torn = 0;

  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&store, &done, &lists, &torn] {
      while (!done) {
        const auto page = store->list_jobs({});
        const bool whole =
            page.ok() && page->jobs_size() == 2 && page->jobs(0).state() == page->jobs(1).state();
        if (!whole) ++torn;
        ++lists;
      }
    });
  }
  for (int i = 0; i < 200 || lists < 100; ++i) {
    CHECK(store->commit({pair_in(i % 2 == 0 ? Job::RUNNING : Job::STARTING)}).ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();

  CHECK(torn == 0);
}

}  // namespace clusterd
