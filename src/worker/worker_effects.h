#pragma once

#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "worker/held_attempt.h"

namespace clusterd {

using CallId = uint64_t;   // of a call that waits for its reply
using CheckId = uint64_t;  // of a start that is being checked

// Have the attempt checked and answer with on_checked.
struct CheckStart {
  CheckId check = 0;
  v1::StartAttempt attempt;
};

// Orders for the launcher.
struct SendOrders {
  internal::ToLauncher orders;
};

// Events for the current session.
struct SendEvents {
  v1::JobEvents events;
};

// Write the end and the final lengths beside the output and answer with on_end_kept.
struct KeepEnd {
  v1::HeldAttempt attempt;
};

// The attempt has ended; for those who count and write it down.
struct TellEnd {
  AttemptId id;
  std::string trace_parent;
  v1::JobEnd end;  // without its outputs and their tail
};

// Output has grown, or the attempt has changed: readers that wait for it look again.
struct WakeReaders {
  AttemptId id;
};

// Answer a call. `start` counts where the call was a start and `status` is OK.
struct CallReply {
  CallId call = 0;
  absl::Status status;
  v1::StartJobsResponse start;
};

using WorkerEffect =
    std::variant<CheckStart, SendOrders, SendEvents, KeepEnd, TellEnd, WakeReaders, CallReply>;

}  // namespace clusterd
