#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"

namespace clusterd {

// What a ProcessLauncher tells its owner. Called on a thread of the launcher's; the owner posts.
struct LauncherObserver {
  // A launcher is there and this is all that it holds. Comes first, and again after each
  // reconnection: orders sent since the last message may be lost and are compared with this.
  absl::AnyInvocable<void(internal::LauncherHello)> on_connected;
  // News, in order.
  absl::AnyInvocable<void(internal::FromLauncher)> on_message;
  // The connection ended; another launcher is being started or reached.
  absl::AnyInvocable<void(absl::Status)> on_disconnected;
};

// Seam: what starts, supervises and ends the processes of attempts.
//
// The launcher enforces timeouts, stop escalation, output bounds and the fence by itself. Every
// order is idempotent on (job, attempt).
class ProcessLauncher {
 public:
  virtual ~ProcessLauncher() = default;

  // Any thread; never blocks. Orders given while there is no connection are dropped: the next
  // on_connected shows what is held.
  virtual void send(internal::ToLauncher message) = 0;
};

}  // namespace clusterd
