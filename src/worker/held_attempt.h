#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// (job, attempt) as a key of containers.
struct AttemptId {
  std::string job_id;
  uint32_t attempt = 0;

  friend auto operator<=>(const AttemptId&, const AttemptId&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const AttemptId& id) {
    return H::combine(std::move(hash), id.job_id, id.attempt);
  }
};

[[nodiscard]] inline AttemptId to_id(const v1::AttemptKey& key) {
  return {key.job_id(), key.attempt()};
}
[[nodiscard]] inline v1::AttemptKey to_key(const AttemptId& id) {
  v1::AttemptKey key;
  key.set_job_id(id.job_id);
  key.set_attempt(id.attempt);
  return key;
}

// One attempt that the worker holds: from the start order until its end is acknowledged.
struct HeldAttempt {
  enum class Phase {
    kChecking,   // may still be refused; nothing of it is kept
    kLaunching,  // given to the launcher, or to be given when that is back
    kRunning,
    kEnded,  // waits for the acknowledgement
  };

  AttemptId id;
  std::string trace_parent;  // W3C trace context, for the log; empty: none
  Phase phase = Phase::kChecking;
  std::optional<internal::LaunchPlan> plan;  // until it runs, for a launcher that comes back
  bool stop_wanted = false;
  bool suspended = false;
  bool separate = false;  // two output streams
  google::protobuf::Timestamp start_time;
  bool started = false;
  v1::JobEnd end;
  google::protobuf::Timestamp end_time;
  std::vector<v1::OutputStream> outputs;  // lengths as last heard
  std::optional<v1::Progress> progress;   // the newest
  bool end_kept = false;                  // its final lengths are beside its output
  bool acknowledged = false;
};

}  // namespace clusterd
