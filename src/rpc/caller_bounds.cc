#include "rpc/caller_bounds.h"

#include <algorithm>
#include <chrono>

#include "core/client_name.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

constexpr auto kRetrySoon = std::chrono::seconds(1);

absl::Status share_used(const std::string& what, const std::string& key, uint64_t limit) {
  return with_retry_delay(
      absl::ResourceExhaustedError("too many " + what + " from this address: grpc_server." + key +
                                   " allows " + std::to_string(limit)),
      kRetrySoon);
}

// What clients call; workers have services of their own, but for one method.
bool is_for_clients(std::string_view method) {
  if (method == "/scheduler.v1.SchedulerService/TaskComplete") return false;
  return method.starts_with("/clusterd.v1.SchedulerService/") ||
         method.starts_with("/scheduler.v1.SchedulerService/");
}

}  // namespace

CallerBounds::Client& CallerBounds::client_of(const std::string& address, BootTime now) {
  const auto [found, is_new] = clients_.try_emplace(client_name(address));
  if (is_new) found->second = {.credit = double(limits_.max_request_rate), .counted = now};
  return found->second;
}

// A bucket that fills at the allowed rate and holds a second's worth.
absl::Status CallerBounds::take_call(const std::string& address, std::string_view method,
                                     BootTime now) {
  if (limits_.max_request_rate == 0 || !is_for_clients(method)) return absl::OkStatus();
  const double rate = limits_.max_request_rate;
  const std::lock_guard lock(mutex_);
  sweep(now);
  Client& client = client_of(address, now);
  const double since = std::max(0.0, std::chrono::duration<double>(now - client.counted).count());
  client.credit = std::min(rate, client.credit + rate * since);
  client.counted = now;
  if (client.credit < 1) {
    return share_used("calls a second", "max_request_rate", limits_.max_request_rate);
  }
  client.credit -= 1;
  return absl::OkStatus();
}

// A client without streams whose bucket is full is as good as one never seen.
void CallerBounds::sweep(BootTime now) {
  if (clients_.size() < next_sweep_) return;
  std::erase_if(clients_, [now](const auto& entry) {
    return entry.second.streams == 0 && now - entry.second.counted > std::chrono::seconds(1);
  });
  next_sweep_ = std::max<size_t>(1024, 2 * clients_.size());
}

absl::Status CallerBounds::has_room(const std::string& address) const {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(client_name(address));
  if (found == clients_.end() || found->second.streams < limits_.max_streams_per_client) {
    return absl::OkStatus();
  }
  return share_used("streams", "max_streams_per_client", limits_.max_streams_per_client);
}

bool CallerBounds::begin_stream(const std::string& address, std::string_view method) {
  if (!is_for_clients(method)) return false;
  const std::lock_guard lock(mutex_);
  ++client_of(address, {}).streams;
  return true;
}

void CallerBounds::end_stream(const std::string& address) {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(client_name(address));
  if (found == clients_.end() || --found->second.streams > 0) return;
  if (limits_.max_request_rate == 0) clients_.erase(found);
}

}  // namespace clusterd
