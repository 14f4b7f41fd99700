#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/simulated_member.h"
#include "core/clock.h"
#include "core/event_loop.h"

namespace clusterd::bench {

struct FleetOptions {
  std::string scheduler;  // host:port
  uint32_t workers = 1;
  uint32_t slots = 1;  // of each
  std::chrono::nanoseconds run_time{0};
  std::string name_prefix;
  std::string data_dir;  // where identities are written, which nobody reads
  std::function<std::string(uint32_t member)> address;  // where it is called back
};

// All members, on one thread. Prints "ready" when all have become members for the first time.
//
// Owned by main. Any thread; ends by leave(), then its destructor.
class SimulatedFleet {
 public:
  // `clock` outlives this.
  SimulatedFleet(FleetOptions options, const Clock& clock);
  ~SimulatedFleet();
  SimulatedFleet(const SimulatedFleet&) = delete;
  SimulatedFleet& operator=(const SimulatedFleet&) = delete;

  // Makes the members and lets them join, some at a time.
  void join();
  // Prints a line of JSON: the totals.
  void print();
  // All leave the cluster, in order where the scheduler answers. Returns when they have; calls are
  // answered still.
  void leave();

  // What the scheduler calls on one of them; NOT_FOUND: there are not that many.
  void identify(uint32_t member, SimulatedMember::Done<v1::WorkerIdentity> done);
  void start_jobs(uint32_t member, v1::StartJobsRequest request,
                  SimulatedMember::Done<v1::StartJobsResponse> done);
  void stop_jobs(uint32_t member, v1::StopJobsRequest request,
                 SimulatedMember::Done<v1::StopJobsResponse> done);

 private:
  struct Ending {
    BootTime due;
    uint32_t member;
    v1::AttemptKey key;
  };

  // Runs `order` with the member on the core thread.
  template <typename Response, typename Order>
  void with_member(uint32_t member, SimulatedMember::Done<Response> done, Order order);
  [[nodiscard]] SessionOptions session_options(uint32_t member) const;
  void add_member(uint32_t number);
  void join_more();
  void look_at_some();
  std::optional<BootTime> on_turn();

  const FleetOptions options_;
  const Clock& clock_;
  const v1::WorkerIdentity machine_;
  FleetTotals totals_;
  std::vector<std::unique_ptr<SimulatedMember>> members_;
  std::vector<bool> joined_;  // once, by number
  uint32_t ever_joined_ = 0;
  uint32_t next_joining_ = 0;  // the first that has not begun
  size_t next_look_ = 0;       // at which member
  bool leaving_ = false;
  std::deque<Ending> endings_;  // all run equally long: the first is due first
  BootTime look_due_;
  EventLoop files_;
  EventLoop core_;
};

}  // namespace clusterd::bench
