#pragma once

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/worker.pb.h"
#include "google/protobuf/repeated_field.h"

namespace clusterd {

inline constexpr size_t kMaxHandlerNameBytes = 128;
inline constexpr int kMaxHandlers = 1000;  // of one worker

// A job that names a handler asks for nothing that only a process can have. INVALID_ARGUMENT names
// the field. OK for a job without one.
[[nodiscard]] absl::Status check_handler_job(const v1::JobSpec& spec);

// What a worker offers. INVALID_ARGUMENT names the field.
[[nodiscard]] absl::Status check_handlers(
    const google::protobuf::RepeatedPtrField<v1::Handler>& handlers);

}  // namespace clusterd
