#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/etcd_client.h"

namespace clusterd {

// Asks etcd how much space is left, and has it forget old revisions while we are the leader.
//
// Owned by EtcdStore. A thread of its own, which ends with this; the rest by any.
class EtcdCaretaker {
 public:
  struct Options {
    uint64_t quota_bytes = 2ULL << 30;
    std::chrono::nanoseconds compact_every = std::chrono::minutes(5);
    std::chrono::nanoseconds ask_every = std::chrono::seconds(2);
  };

  // `client` outlives this.
  EtcdCaretaker(EtcdClient& client, const Options& options);
  ~EtcdCaretaker();
  EtcdCaretaker(const EtcdCaretaker&) = delete;
  EtcdCaretaker& operator=(const EtcdCaretaker&) = delete;

  // We lead, and a transaction of so many bytes has made this revision.
  void on_commit(int64_t revision, size_t bytes);
  // etcd has refused one for want of space.
  void on_no_space();
  // We do not lead any more.
  void rest();
  // Of the quota, as of some seconds ago. UNAVAILABLE: etcd has not said yet.
  [[nodiscard]] absl::StatusOr<uint64_t> free_bytes() const;
  // Asks now. Blocks.
  [[nodiscard]] absl::Status ask(const std::stop_token& stop);

 private:
  void run(const std::stop_token& stop);
  void compact(const std::stop_token& stop);

  EtcdClient& client_;
  const Options options_;
  std::atomic<int64_t> free_bytes_ = -1;  // -1: not known
  std::mutex mutex_;
  std::condition_variable_any wake_;
  int64_t revision_ = 0;        // guarded by mutex_; 0: we do not lead
  size_t written_ = 0;          // guarded by mutex_; since the last compaction
  int64_t older_revision_ = 0;  // of the thread: that of the last compaction
  std::jthread thread_;
};

}  // namespace clusterd
