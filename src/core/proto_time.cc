#include "core/proto_time.h"

#include <algorithm>

namespace clusterd {
namespace {

constexpr int64_t kNanos = 1'000'000'000;
// Half of what fits, so that the sum of two still does.
constexpr int64_t kMaxSeconds = std::chrono::nanoseconds::max().count() / kNanos / 2;

std::chrono::nanoseconds join(int64_t seconds, int32_t nanos) {
  seconds = std::clamp(seconds, -kMaxSeconds, kMaxSeconds);
  return std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos);
}

}  // namespace

google::protobuf::Timestamp to_proto(WallTime time) {
  const int64_t total = time.time_since_epoch().count();
  int64_t seconds = total / kNanos;
  if (total % kNanos < 0) --seconds;  // a Timestamp's nanos count forward
  google::protobuf::Timestamp message;
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>(total - seconds * kNanos));
  return message;
}

google::protobuf::Duration to_proto(std::chrono::nanoseconds duration) {
  google::protobuf::Duration message;
  message.set_seconds(duration.count() / kNanos);
  message.set_nanos(static_cast<int32_t>(duration.count() % kNanos));
  return message;
}

WallTime from_proto(const google::protobuf::Timestamp& time) {
  return WallTime(join(time.seconds(), time.nanos()));
}

std::chrono::nanoseconds from_proto(const google::protobuf::Duration& duration) {
  return join(duration.seconds(), duration.nanos());
}

}  // namespace clusterd
