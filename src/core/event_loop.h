#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/clock.h"

namespace clusterd {

// One thread that runs posted tasks in order: the owner of all mutable state of a daemon.
//
// After each run of tasks it calls `on_turn` once, which is where decisions taken in this turn
// are flushed together and the next deadline is told. Owned by the daemon's app object; the
// destructor runs what was posted before it and joins. One of the few classes with a mutex (see
// docs/architecture.md#threads).
class EventLoop {
 public:
  using Task = absl::AnyInvocable<void()>;

  // `on_turn` is called on the loop's thread after each batch of tasks and at each deadline; it
  // returns when it wants to be called again at the latest. `name` becomes the thread's name (at
  // most 15 bytes). `clock` outlives this.
  EventLoop(const std::string& name, const Clock& clock,
            absl::AnyInvocable<std::optional<BootTime>()> on_turn);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Any thread, the loop's own too. Tasks posted after stop() are destroyed without running.
  void post(Task task);

  // Runs what was posted so far, then ends the thread and joins it. Not from the loop's thread.
  void stop();

 private:
  void run();

  const Clock& clock_;
  absl::AnyInvocable<std::optional<BootTime>()> on_turn_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Task> posted_;  // guarded by mutex_
  bool stopping_ = false;     // guarded by mutex_
  std::thread thread_;
};

}  // namespace clusterd
