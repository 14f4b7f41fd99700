#include "store/store_thread.h"

#include <pthread.h>

#include <chrono>
#include <utility>

namespace clusterd {

StoreThread::StoreThread(Store& store, StoreMetrics& metrics,
                         absl::AnyInvocable<void(uint64_t number, absl::Status)> on_commit)
    : store_(store),
      metrics_(metrics),
      on_commit_(std::move(on_commit)),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "store");
}

StoreThread::~StoreThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StoreThread::submit(uint64_t number, StoreBatch batch) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = queue_.empty();
    queue_.push_back(std::move(batch));
    last_number_ = number;
  }
  if (wake) wake_.notify_one();
}

absl::Status StoreThread::commit(const std::vector<StoreBatch>& batches) {
  const auto begin = std::chrono::steady_clock::now();
  absl::Status status = store_.commit(batches);
  metrics_.commit_seconds.observe(std::chrono::steady_clock::now() - begin);
  metrics_.commit_batches.observe(static_cast<double>(batches.size()));
  if (!status.ok()) metrics_.failures.add();
  return status;
}

void StoreThread::run() {
  std::vector<StoreBatch> batches;
  bool failed = false;
  while (true) {
    uint64_t number = 0;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      batches.swap(queue_);
      number = last_number_;
    }
    if (!failed) {
      absl::Status status = commit(batches);
      failed = !status.ok();
      on_commit_(number, std::move(status));
    }
    batches.clear();
  }
}

}  // namespace clusterd
