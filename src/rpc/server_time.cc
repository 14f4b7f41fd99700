#include "rpc/server_time.h"

#include <charconv>
#include <chrono>
#include <string>

namespace clusterd {
namespace {

constexpr char kKey[] = "clusterd-time-ms";  // since the epoch

}  // namespace

void tell_time(grpc::CallbackServerContext& context) {
  using std::chrono::milliseconds;
  const auto now = SystemClock().now().wall.time_since_epoch();
  context.AddTrailingMetadata(
      kKey, std::to_string(std::chrono::duration_cast<milliseconds>(now).count()));
}

std::optional<WallTime> told_time(const grpc::ClientContext& context) {
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return std::nullopt;
  int64_t milliseconds = 0;
  const char* end = found->second.data() + found->second.size();
  if (std::from_chars(found->second.data(), end, milliseconds).ptr != end) return std::nullopt;
  return WallTime(std::chrono::milliseconds(milliseconds));
}

}  // namespace clusterd
