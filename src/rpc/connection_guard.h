#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/config.h"
#include "core/event_loop.h"

namespace clusterd {

// One accepted connection, as the guard sees it.
struct SeenConnection {
  std::string client;     // as client_name() says
  uint64_t quiet_ms = 0;  // since its last byte came
};

// Which of them must go, as indices: of each client that has more than its share those that have
// been quiet for longest, and while there are still too many, those of whoever has most.
[[nodiscard]] std::vector<size_t> connections_to_cut(const std::vector<SeenConnection>& seen,
                                                     const SchedulerConfig::GrpcServer& limits);

// Keeps the connections to gRPC's listeners within bounds, for gRPC itself counts none: looks at
// the sockets of this process every second, more often where there are many but no more than the
// twentieth part of the time, and shuts down what is too much. gRPC then
// sees connections that their peers have ended.
//
// Owned by run_scheduler, after the servers. Has a thread of its own; ends with its destructor.
class ConnectionGuard {
 public:
  // `ports`: where gRPC listens. `clock` outlives this.
  ConnectionGuard(const Clock& clock, const SchedulerConfig::GrpcServer& limits,
                  std::vector<uint16_t> ports);
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

 private:
  struct Count {
    size_t all = 0;
    size_t of_one = 0;  // of the client that has most
  };

  std::optional<BootTime> look();
  [[nodiscard]] Count count() const;
  // Cuts what is too much, and reports it; whether anything was.
  bool cut_some(BootTime now);
  void report(const std::vector<SeenConnection>& seen, const std::vector<size_t>& cut,
              BootTime now);

  const Clock& clock_;
  const SchedulerConfig::GrpcServer limits_;
  const std::vector<uint16_t> ports_;
  BootTime next_look_;
  BootTime next_report_;
  size_t cut_ = 0;  // since the last report
  EventLoop loop_;  // last: its thread ends before what it uses
};

}  // namespace clusterd
