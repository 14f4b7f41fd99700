#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "clusterd/v1/worker_service.pb.h"
#include "worker/worker_effects.h"

namespace clusterd {

// Who writes a line.
struct LineOwner {
  std::string worker_id;
  uint64_t session = 0;
};

// What a worker's log says of each attempt, at the level debug. Any thread.
void log_order(const v1::StartAttempt& attempt, const LineOwner& owner);
void log_refusal(const v1::StartAttempt& attempt, const absl::Status& why, const LineOwner& owner);
void log_end(const TellEnd& told, const LineOwner& owner);

}  // namespace clusterd
