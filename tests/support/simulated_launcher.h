#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "clusterd/internal/launcher.pb.h"
#include "support/simulated_truth.h"
#include "support/virtual_time.h"
#include "worker/held_attempt.h"

namespace clusterd {

// A launcher and the processes that it runs, in virtual time: keeps what the real one keeps of its
// protocol (proto/clusterd/internal/launcher.proto). It outlives the worker's processes, and what
// it holds outlives it; all of it goes with the machine.
//
// Owned by a simulated worker. The arguments of a plan say what its process does: milliseconds to
// run, then the exit code.
class SimulatedLauncher {
 public:
  using Hear = std::function<void(const internal::FromLauncher&)>;

  SimulatedLauncher(VirtualTime& time, SimulatedTruth& truth) : time_(time), truth_(truth) {}

  // A worker process connects. What was said over an earlier connection and has not arrived is
  // lost.
  [[nodiscard]] internal::LauncherHello connect(Hear hear);
  void disconnect();
  // Arrives after a while, in order.
  void send(const internal::ToLauncher& orders);

  // Killed, and another takes over: processes go on, and what was not started yet is unknown.
  void crash();
  // The machine goes down with everything.
  void vanish();
  // Nothing starts for so long.
  void fall_sick(std::chrono::nanoseconds how_long);

 private:
  struct Process {
    internal::LaunchPlan plan;
    internal::LaunchedAttempt state;
    bool stopping = false;
    uint64_t token = 0;  // no other process has it

    [[nodiscard]] bool is_running() const { return state.started() && !state.has_end(); }
  };

  void carry_out(const internal::ToLauncher& orders);
  void launch(const internal::LaunchPlan& plan);
  void start(Process& process);
  void stop(const v1::AttemptKey& key);
  void fence(const v1::AttemptKey& key);
  void finish(Process& process, const v1::JobEnd& end);
  // Kills it where no contact was relayed for too long.
  void check_contact(Process& process);
  Process& insert(const internal::LaunchPlan& plan);
  // Calls `task` with the process, unless that has ended or is gone by then.
  void later(std::chrono::nanoseconds delay, const Process& process,
             std::function<void(Process&)> task);
  void tell(internal::FromLauncher message);

  VirtualTime& time_;
  SimulatedTruth& truth_;
  Hear hear_;
  uint64_t connections_ = 0;
  BootTime orders_arrive_;  // the latest of this connection
  BootTime news_arrive_;
  BootTime contact_;
  BootTime sick_until_;
  uint64_t tokens_ = 0;
  std::map<AttemptId, Process> processes_;
};

}  // namespace clusterd
