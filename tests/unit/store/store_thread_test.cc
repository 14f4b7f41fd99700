#include "store/store_thread.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <utility>
#include <vector>

#include "support/memory_store.h"
#include "unit/store/sample_records.h"

namespace clusterd {
namespace {

using v1::Job;

struct Commit {
  uint64_t number;
  absl::StatusCode code;
  bool operator==(const Commit&) const = default;
};

// Collects what a store thread tells, and can hold the thread inside its first call.
class Observer {
 public:
  void hold() { held_ = release_.get_future(); }
  void release() { release_.set_value(); }

  auto callback() {
    return [this](uint64_t number, const absl::Status& status) {
      {
        const std::lock_guard lock(mutex_);
        commits_.push_back({number, status.code()});
      }
      told_.notify_one();
      if (held_.valid()) held_.get();
    };
  }

  std::vector<Commit> wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [this, count] { return commits_.size() >= count; });
    return commits_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  std::vector<Commit> commits_;
  std::promise<void> release_;
  std::future<void> held_;
};

}  // namespace

TEST_CASE("batches that queue up during a commit become one transaction", "[store]") {
  MemoryStore store;
  Observer observer;
  observer.hold();
  {
    StoreMetrics metrics;
    StoreThread thread(store, metrics, observer.callback());
    thread.submit(1, batch_of(sample_job(1, Job::QUEUED)));
    (void)observer.wait_for(1);
    for (uint64_t number = 2; number <= 100; ++number) {
      thread.submit(number, batch_of(sample_job(number, Job::QUEUED)));
    }
    observer.release();
  }

  CHECK(observer.wait_for(2) ==
        std::vector<Commit>{{1, absl::StatusCode::kOk}, {100, absl::StatusCode::kOk}});
  CHECK(store.commits() == 2);
  CHECK(store.begin_term()->live_jobs.size() == 100);
}

TEST_CASE("after a failed commit the error is told once and nothing more is written", "[store]") {
  MemoryStore store;
  store.fail_commit(2, MemoryStore::Failure::kNothingKept);
  Observer observer;
  {
    StoreMetrics metrics;
    StoreThread thread(store, metrics, observer.callback());
    for (uint64_t number = 1; number <= 3; ++number) {
      thread.submit(number, batch_of(sample_job(number, Job::QUEUED)));
      if (number < 3) (void)observer.wait_for(number);
    }
  }

  CHECK(observer.wait_for(2) ==
        std::vector<Commit>{{1, absl::StatusCode::kOk}, {2, absl::StatusCode::kUnavailable}});
  CHECK(store.commits() == 2);
  CHECK(store.begin_term()->live_jobs.size() == 1);
}

TEST_CASE("the end of a store thread commits what was submitted before", "[store]") {
  MemoryStore store;
  Observer observer;
  {
    StoreMetrics metrics;
    StoreThread thread(store, metrics, observer.callback());
    thread.submit(5, batch_of(sample_job(5, Job::QUEUED)));
  }

  CHECK(store.begin_term()->live_jobs.size() == 1);
  CHECK(observer.wait_for(1).back().number == 5);
}

TEST_CASE("a memory store keeps an ambiguous commit and says that it failed", "[store]") {
  MemoryStore store;
  store.fail_commit(1, MemoryStore::Failure::kKeptButUnknown);

  CHECK(absl::IsUnavailable(store.commit({batch_of(sample_job(1, Job::QUEUED))})));

  CHECK(store.begin_term()->live_jobs.size() == 1);
}

}  // namespace clusterd
