#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "core/clock.h"
#include "core/event_loop.h"

namespace clusterd {

// Tells the service manager that started this process what `state` says, in the words of
// sd_notify(3): "READY=1", "STOPPING=1". Nothing where there is none ($NOTIFY_SOCKET), or where it
// does not listen. Any thread; does not block. It is a datagram of our own, since libsystemd has no
// archive to link statically.
void tell_service_manager(std::string_view state);

// How often the service manager wants to hear from this process (WatchdogSec=); nullopt: not at
// all.
[[nodiscard]] std::optional<std::chrono::nanoseconds> watchdog_interval();

// Tells the service manager that a daemon lives, three times within its interval, each time from
// the thread whose life counts: one that hangs says nothing, and the daemon is started again.
//
// Owned by run_scheduler and run_worker, and ends before what `post` uses. Has a thread only where
// the service manager asks for it.
class ServiceWatchdog {
 public:
  // `post` runs a task on the daemon's core thread. `clock` outlives this.
  ServiceWatchdog(const Clock& clock, absl::AnyInvocable<void(absl::AnyInvocable<void()>)> post);

  // The daemon ends, which may take long: from now on each word asks for more time for that too.
  void begin_stop() { is_stopping_ = true; }

 private:
  std::optional<BootTime> on_turn();

  const Clock& clock_;
  absl::AnyInvocable<void(absl::AnyInvocable<void()>)> post_;
  const std::optional<std::chrono::nanoseconds> interval_;
  std::atomic<bool> is_stopping_ = false;
  BootTime next_{};                // the loop's thread only
  std::optional<EventLoop> loop_;  // last: it ends first
};

}  // namespace clusterd
