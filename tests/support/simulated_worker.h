#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "support/simulated_launcher.h"
#include "support/simulated_truth.h"
#include "support/virtual_time.h"
#include "worker/worker_decider.h"

namespace clusterd {

// A worker in virtual time: the real decider over a simulated launcher, behind a session that can
// break. It can hang, lose its network, its launcher, restart, reboot, leave, and fall sick:
// nothing starts here for a while.
//
// Owned by a simulation. `args` of a job say what its process does: milliseconds to run, then the
// exit code.
class SimulatedWorker {
 public:
  // How it reaches the scheduler. Messages arrive later, or never.
  struct Network {
    std::function<void(SimulatedWorker&)> open_session;  // registers, then says hello
    std::function<void(SimulatedWorker&, v1::SessionRequest)> send;
    std::function<void(SimulatedWorker&)> close_session;
    std::function<void(SimulatedWorker&, bool leaving)> deregister;
  };
  using OnReply = std::function<void(const absl::StatusOr<v1::StartJobsResponse>&)>;

  SimulatedWorker(std::string name, uint32_t slots, VirtualTime& time, SimulatedTruth& truth,
                  Network network);

  // --- its life
  void boot();
  void hang(std::chrono::nanoseconds how_long);
  void cut_off(std::chrono::nanoseconds how_long);
  void restart_process();  // the launcher and the jobs go on
  void crash_launcher();   // the jobs go on
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
  void start(const v1::StartJobsRequest& request, OnReply on_reply);
  void stop(const v1::StopJobsRequest& request, OnReply on_reply);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] uint32_t slots() const { return slots_; }
  // Its label `zone`. There is a worker in each of the two.
  [[nodiscard]] std::string zone() const { return name_.back() % 2 == 0 ? "a" : "b"; }
  [[nodiscard]] v1::SessionHello hello();
  [[nodiscard]] v1::WorkerIdentity identity() const;
  void set_membership(const std::string& worker_id, uint64_t epoch);
  void opened(uint64_t stream) { stream_ = stream; }
  [[nodiscard]] uint64_t stream() const { return stream_; }

 private:
  // Another process of it; what is of an earlier one is void.
  void begin_process();
  void end_process();
  // A task of this process: waits while that hangs, ends with it.
  void later(std::chrono::nanoseconds delay, VirtualTime::Task task);
  void connect_launcher();
  void reconnect();
  void close_session();
  void heartbeat();
  // Carries out what the decider has decided.
  void turn();
  void carry_out(const WorkerEffect& effect);
  void check(const CheckStart& check);
  void tell(v1::SessionRequest message);
  CallId keep(OnReply on_reply);

  const std::string name_;
  const uint32_t slots_;
  VirtualTime& time_;
  SimulatedTruth& truth_;
  Network network_;
  SimulatedLauncher launcher_;

  bool up_ = false;
  bool hung_ = false;
  bool cut_off_ = false;
  bool left_ = false;
  BootTime sick_until_;
  uint64_t boots_ = 0;
  uint64_t lives_ = 0;  // of the process
  std::string worker_id_;
  uint64_t joined_epoch_ = 0;  // of the scheduler with which it registered
  uint64_t epoch_ = 0;         // of the session
  uint64_t session_ = 0;
  uint64_t stream_ = 0;
  bool open_ = false;
  uint64_t heartbeats_ = 0;
  std::map<uint64_t, BootTime> unanswered_;
  BootTime heard_;
  std::vector<VirtualTime::Task> asleep_;
  std::unique_ptr<WorkerDecider> decider_;
  bool knows_launcher_ = false;  // this process has heard it
  std::map<CallId, OnReply> calls_;
  CallId last_call_ = 0;
};

}  // namespace clusterd
