#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "worker/launcher/spawn.h"
#include "worker/launcher/spawn_watch.h"

namespace clusterd {

// The threads that start processes, since vfork blocks its caller until the child's execve.
//
// Owned by the control loop; results come on the spawn threads. The destructor drops what was not
// begun, waits for what was and joins. Lock and data are together; see
// docs/architecture.md#threads.
class Spawner {
 public:
  using OnResult = std::function<void(SpawnResult)>;

  // `cgroups` outlives this.
  Spawner(size_t threads, ChildBaseline baseline, CgroupPool& cgroups, OnResult on_result);
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // Any thread. The result follows.
  void start(SpawnOrder order);

  // True if the order had not been begun and is gone: no result follows.
  [[nodiscard]] bool cancel(uint64_t handle);

  // Runs another task that may block.
  void run(absl::AnyInvocable<void()> task);

 private:
  struct Item {
    SpawnOrder order;
    absl::AnyInvocable<void()> task;  // set: it is no order
  };

  void work(HandoverFds& handover);
  void push(Item item);

  const ChildBaseline baseline_;
  CgroupPool& cgroups_;
  const OnResult on_result_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  SpawnWatch watch_;
  std::deque<HandoverFds> handover_;  // each thread's own
  std::vector<std::thread> threads_;
};

}  // namespace clusterd
