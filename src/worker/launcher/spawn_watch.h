#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace clusterd {

// Wakes children that were stopped on their way to their program. Until execve such a child holds
// its spawn thread, and once it is its user's, that user may stop it: without this, a job could
// keep its worker from starting others.
//
// Owned by the Spawner. One thread of its own, which sleeps while nothing is spawned. The
// destructor joins; no Spawning may be left. Lock and data are together; see
// docs/architecture.md#threads.
class SpawnWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // One spawn under watch, for as long as this lives.
  class Spawning {
   public:
    explicit Spawning(SpawnWatch& watch);
    ~Spawning();
    Spawning(const Spawning&) = delete;
    Spawning& operator=(const Spawning&) = delete;

    // For the child, which says who it is; async-signal-safe.
    [[nodiscard]] std::atomic<pid_t>& child() { return child_; }

   private:
    friend class SpawnWatch;
    SpawnWatch& watch_;
    const Clock::time_point since_ = Clock::now();
    std::atomic<pid_t> child_ = 0;
  };

  // A spawn that takes longer than `patience` is looked at, and again as often.
  explicit SpawnWatch(Clock::duration patience = std::chrono::seconds(1));
  ~SpawnWatch();
  SpawnWatch(const SpawnWatch&) = delete;
  SpawnWatch& operator=(const SpawnWatch&) = delete;

 private:
  void work();

  const Clock::duration patience_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<const Spawning*> spawnings_;  // guarded by mutex_
  bool is_asleep_ = false;               // guarded by mutex_
  bool stopping_ = false;                // guarded by mutex_
  std::thread thread_;
};

}  // namespace clusterd
