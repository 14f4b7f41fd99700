#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "store/store.h"
#include "store/store_metrics.h"

namespace clusterd {

// Group commit: one thread writes all batches that queued up while the last commit ran, as one
// transaction.
//
// Owned by the scheduler's app. After a failed commit it writes nothing more: the term of office
// is over and a new StoreThread is made after the reload. The destructor commits what was
// submitted before it and joins.
class StoreThread {
 public:
  // `on_commit(number, status)` is called on the store thread after each commit with the number
  // of the last batch in it. `store` and `metrics` outlive this.
  StoreThread(Store& store, StoreMetrics& metrics,
              absl::AnyInvocable<void(uint64_t number, absl::Status)> on_commit);
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // Numbers grow from call to call. Any thread; never blocks on the disk.
  void submit(uint64_t number, StoreBatch batch);

 private:
  void run();

  [[nodiscard]] absl::Status commit(const std::vector<StoreBatch>& batches);

  Store& store_;
  StoreMetrics& metrics_;
  absl::AnyInvocable<void(uint64_t, absl::Status)> on_commit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<StoreBatch> queue_;  // guarded by mutex_
  uint64_t last_number_ = 0;       // guarded by mutex_
  bool stopping_ = false;          // guarded by mutex_
  std::thread thread_;
};

}  // namespace clusterd
