#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/memory_store.h"
#include "support/simulated_coverage.h"
#include "support/simulated_term.h"
#include "support/simulated_truth.h"
#include "support/simulated_worker.h"
#include "support/virtual_time.h"

namespace clusterd {

// A whole cluster in virtual time: the real deciders of scheduler and workers over a store,
// launchers and a network that are simulated, callers of all kinds, and faults. One seed is one
// history.
//
// For a while everything happens at once: jobs are submitted, stopped, retried and deleted, workers
// hang, lose their network or their launcher, restart, reboot, leave; commits fail or are
// ambiguous; messages are late, lost and reordered; wall clocks are set. Then faults and callers
// stop, and everything that was accepted must end. After each event it is checked what must hold at
// all times.
class SimulatedCluster {
 public:
  explicit SimulatedCluster(uint64_t seed);

  // Runs the whole history; empty: all held. Else what did not, in words.
  [[nodiscard]] std::string run();
  // A number that tells one history from another.
  [[nodiscard]] uint32_t history() const { return truth_.history(); }
  [[nodiscard]] const std::vector<std::string>& trace() const { return truth_.trace(); }
  [[nodiscard]] size_t accepted() const { return accepted_.size(); }
  [[nodiscard]] const SimulatedCoverage& coverage() const { return coverage_; }

 private:
  using OnAnswer = std::function<void(const absl::StatusOr<Answer>&)>;
  using Decide = std::function<Decision(Scheduler&, CallId, Now)>;

  // --- the scheduler's surroundings
  void begin_term();
  void end_term();
  void perform(Effect effect);
  void dispatch(const Dispatch& order);
  void stop_attempt(const StopAttempt& order);
  void call_back(const CallBack& order);
  void send_down(const SendDown& down);
  void call(Decide decide, OnAnswer on_answer);
  [[nodiscard]] SimulatedWorker* worker_of(const std::string& worker_id);
  // In the order of the stream, after a while.
  void deliver(uint64_t stream, VirtualTime::Task task);

  // --- the workers' network
  SimulatedWorker::Network network();
  void open_session(SimulatedWorker& worker);
  void close_session(SimulatedWorker& worker);
  void deregister(SimulatedWorker& worker, bool leaving);

  // --- callers and faults, until they are over
  void next_caller();
  void next_fault();
  void submit();
  v1::JobSpec random_spec();
  void choose_kind(v1::JobSpec& spec);
  void choose_conditions(v1::JobSpec& spec);
  // Its queue, and whether it is a gang.
  void choose_company(v1::JobSpec& spec);
  void stop_some();
  void retry_some();
  void delete_some();
  void drain_some();
  void set_queue(const std::string& name, uint32_t weight, uint32_t max_running);
  void pause_some();
  void resume_queue(const std::string& name);
  void resume_worker(const std::string& name);
  // Attempts of it may overlap: it says so, or somebody retried it by hand.
  void allow_overlap(const std::string& job_id);
  [[nodiscard]] std::string some_job();

  // --- what must hold
  void check_capacity();
  void check_queues();
  void check_gangs();
  void check_placement();
  void check_records();
  void check_end(const v1::Job& job);
  [[nodiscard]] std::string what_is_left() const;

  VirtualTime time_;
  SimulatedTruth truth_;
  MemoryStore store_;
  SchedulerConfig config_;
  std::vector<std::unique_ptr<SimulatedWorker>> workers_;
  std::map<std::string, SimulatedWorker*> by_id_;
  std::map<uint64_t, SimulatedWorker*> streams_;
  std::map<uint64_t, BootTime> last_delivery_;
  std::unique_ptr<SimulatedTerm> term_;
  std::map<CallId, OnAnswer> calls_;
  CallId last_call_ = 0;
  uint64_t last_stream_ = 0;
  uint64_t last_job_ = 0;
  uint64_t last_key_ = 0;
  const bool is_rich_;  // with named queues and gangs; one history in two has none
  bool faulty_ = true;
  uint64_t live_ = 0;  // jobs and tasks that have not ended, as of the last commit
  uint64_t checked_changes_ = 0;
  SimulatedCoverage coverage_;
  std::map<std::string, v1::Job::State> states_;  // as of the last commit
  std::set<std::string> accepted_;
  std::multiset<std::string> deleting_;       // whose deletion has been asked for and not answered
  std::set<std::string> touched_;             // retried or deleted by a caller: they may change
  std::set<std::string> deleted_;             // whose deletion was answered
  std::map<std::string, std::string> ended_;  // serialised ends as they were first seen
};

}  // namespace clusterd
