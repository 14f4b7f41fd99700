#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "core/clock.h"
#include "core/config.h"

namespace clusterd {

// What each client may ask of the services for clients over gRPC: calls a second, and followers and
// watchers at one time. A client is as in core/client_name.h. Workers and their calls have no
// bound.
//
// Owned by run_scheduler; outlives the servers. Any thread: one of the few classes with a mutex
// (see docs/architecture.md#threads), because gRPC's threads begin and end calls.
class CallerBounds {
 public:
  explicit CallerBounds(const SchedulerConfig::GrpcServer& limits) : limits_(limits) {}
  CallerBounds(const CallerBounds&) = delete;
  CallerBounds& operator=(const CallerBounds&) = delete;

  // Counts a call. RESOURCE_EXHAUSTED names the key: too many of late.
  [[nodiscard]] absl::Status take_call(const std::string& address, std::string_view method,
                                       BootTime now);
  // Whether there is room for one more stream. RESOURCE_EXHAUSTED names the key.
  [[nodiscard]] absl::Status has_room(const std::string& address) const;
  // A stream begins or ends; whether it is one that counts.
  [[nodiscard]] bool begin_stream(const std::string& address, std::string_view method);
  void end_stream(const std::string& address);

 private:
  struct Client {
    double credit = 0;  // calls that it may make at once, as of `counted`
    BootTime counted;
    uint64_t streams = 0;
  };

  // With mutex_ held.
  Client& client_of(const std::string& address, BootTime now);
  void sweep(BootTime now);

  const SchedulerConfig::GrpcServer limits_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Client> clients_;  // guarded by mutex_
  size_t next_sweep_ = 1024;                         // clients; guarded by mutex_
};

}  // namespace clusterd
