#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace clusterd {

// Threads that run handlers: about as many as have been needed at one time, kept for the next jobs.
//
// Owned by HandlerLauncher; any thread. Has a mutex (see docs/architecture.md#threads). The
// destructor returns when all tasks have.
class HandlerThreads {
 public:
  HandlerThreads() = default;
  ~HandlerThreads();
  HandlerThreads(const HandlerThreads&) = delete;
  HandlerThreads& operator=(const HandlerThreads&) = delete;

  // Runs `task`, which throws nothing, at once: no task waits for another. RESOURCE_EXHAUSTED: the
  // system gives no thread for it, and it will not run.
  [[nodiscard]] absl::Status run(absl::AnyInvocable<void()> task);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<absl::AnyInvocable<void()>> tasks_;  // each has an idle thread that is to take it
  size_t idle_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace clusterd
