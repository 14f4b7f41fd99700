#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "support/simulated_truth.h"
#include "support/virtual_time.h"

namespace clusterd {

// A worker and its launcher in virtual time: keeps the contract of a session and of attempts, and
// can hang, lose its network, restart, reboot, leave, and fall sick: nothing starts here for a
// while.
//
// Owned by a simulation. `arguments` of a job say what its process does: milliseconds to run, then
// the exit code.
class SimulatedWorker {
 public:
  // How it reaches the scheduler. Messages arrive later, or never.
  struct Network {
    std::function<void(SimulatedWorker&)> open_session;  // registers, then says hello
    std::function<void(SimulatedWorker&, v1::SessionRequest)> send;
    std::function<void(SimulatedWorker&)> close_session;
    std::function<void(SimulatedWorker&, bool leaving)> deregister;
  };

  SimulatedWorker(std::string name, uint32_t slots, VirtualTime& time, SimulatedTruth& truth,
                  Network network);

  // --- its life
  void boot();
  void hang(std::chrono::nanoseconds how_long);
  void cut_off(std::chrono::nanoseconds how_long);
  void restart_process();  // the launcher and the jobs go on
  void reboot(std::chrono::nanoseconds down);
  void leave();
  void fall_sick(std::chrono::nanoseconds how_long);

  // --- from the scheduler
  [[nodiscard]] bool is_reachable() const { return up_ && !cut_off_ && !hung_; }
  [[nodiscard]] bool is_hung() const { return up_ && !cut_off_ && hung_; }
  // Runs now, or when it wakes up.
  void when_awake(VirtualTime::Task task);
  void session_message(uint64_t stream, const v1::SessionResponse& message);
  void session_lost(uint64_t stream);
  absl::Status start(const v1::StartJobsRequest& request, v1::StartJobsResponse& answer);
  absl::Status stop(const v1::StopJobsRequest& request);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] uint32_t slots() const { return slots_; }
  // Its label `zone`. There is a worker in each of the two.
  [[nodiscard]] std::string zone() const { return name_.back() % 2 == 0 ? "a" : "b"; }
  [[nodiscard]] v1::SessionHello hello();
  [[nodiscard]] v1::WorkerIdentity identity() const;
  void set_membership(const std::string& worker_id, uint64_t epoch);
  void opened(uint64_t stream) { stream_ = stream; }
  [[nodiscard]] uint64_t stream() const { return stream_; }
  // Holds nothing whose end has not been acknowledged.
  [[nodiscard]] bool is_idle() const { return held_.empty(); }

 private:
  struct Held {
    v1::StartAttempt order;
    bool started = false;
    bool running = false;
    bool stopping = false;
    WallTime start_time;
    std::optional<v1::JobEnd> end;
    WallTime end_time;
    uint64_t token = 0;  // of its process
  };
  using Key = std::pair<std::string, uint32_t>;

  void run(const Key& key);
  void finish(const Key& key, const v1::JobEnd& end);
  void kill(const Key& key);
  void say(const v1::JobEvent& event);
  void heartbeat();
  void reconnect();
  void check_fence(const Key& key);
  void contact(BootTime sent);
  [[nodiscard]] bool is_current(uint64_t epoch, uint64_t session) const;

  const std::string name_;
  const uint32_t slots_;
  VirtualTime& time_;
  SimulatedTruth& truth_;
  Network network_;

  bool up_ = false;
  bool hung_ = false;
  bool cut_off_ = false;
  bool left_ = false;
  BootTime sick_until_;
  uint64_t boots_ = 0;
  uint64_t lives_ = 0;  // of the process; what is of an earlier one is void
  std::string worker_id_;
  uint64_t epoch_ = 0;
  uint64_t session_ = 0;
  uint64_t stream_ = 0;
  bool open_ = false;
  uint64_t tokens_ = 0;
  uint64_t heartbeats_ = 0;
  std::map<uint64_t, BootTime> unanswered_;
  BootTime contact_;
  BootTime heard_;
  std::map<Key, Held> held_;
  std::set<Key> forgotten_;
  std::vector<VirtualTime::Task> asleep_;
  std::vector<v1::JobEvent> unsaid_;  // since the hello
};

}  // namespace clusterd
