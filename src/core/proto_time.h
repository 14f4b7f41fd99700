#pragma once

#include <chrono>

#include "core/clock.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace clusterd {

// Between std::chrono and protobuf's well-known types. Exact to the nanosecond; what lies
// beyond ±146 years is clamped, so that a time and a duration can be added.
[[nodiscard]] google::protobuf::Timestamp to_proto(WallTime time);
[[nodiscard]] google::protobuf::Duration to_proto(std::chrono::nanoseconds duration);
[[nodiscard]] WallTime from_proto(const google::protobuf::Timestamp& time);
[[nodiscard]] std::chrono::nanoseconds from_proto(const google::protobuf::Duration& duration);

}  // namespace clusterd
