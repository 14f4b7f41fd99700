#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "core/clock.h"
#include "scheduler/decision.h"

namespace clusterd {

// A job that has not ended, or whose end is not durable yet.
struct LiveJob {
  v1::Job job;
  uint64_t commit = 0;          // number of the commit that holds its newest change
  CallId start_call = 0;        // a directed start's caller who waits for the verdict
  bool directed = false;        // names its worker
  bool unfit = false;           // larger than every member; looked at again when members change
  bool order_pending = false;   // an order is on its way and not answered yet
  uint32_t resends = 0;         // of that order
  std::string request_key;      // of the call that submitted it; empty: none
  std::string trace_parent;     // of the request that submitted it
  std::vector<CallId> waiters;  // calls that wait for a change of it
};

// The jobs that are alive, the queue, and how many jobs are in each state.
//
// Owned by Scheduler; core thread only. Pointers to entries hold until the entry is erased.
class JobTable {
 public:
  [[nodiscard]] LiveJob* find(const std::string& job_id);
  LiveJob& insert(LiveJob job);
  void erase(const std::string& job_id);

  // Changes the state; keeps the counts and the queue true.
  void set_state(LiveJob& job, v1::Job::State state);

  // A queued job that no member could ever hold steps aside, so that it is not looked at again
  // and again; it comes back with readmit_unfit().
  void set_unfit(LiveJob& live);
  void readmit_unfit();

  // The job has ended with commit `live.commit`; it leaves once that is durable.
  void retire(const LiveJob& live) { ended_.emplace_back(live.commit, live.job.job_id()); }
  // Erases the jobs whose ends are durable with commit `number`.
  void evict_until(uint64_t number);

  // Order in the queue: priority, then acceptance.
  using QueueKey = std::pair<int32_t, uint64_t>;  // (−priority, seq)
  using Queue = std::map<QueueKey, std::string>;

  // Queued jobs of one worker; those for any worker, but the unfit, under the empty id.
  [[nodiscard]] const Queue& queue_of(const std::string& worker_id) const;
  [[nodiscard]] uint64_t queued() const { return queued_; }

  // Jobs in each state. Ended ones count for ever; starts from what the store held.
  [[nodiscard]] const std::map<v1::Job::State, uint64_t>& counts() const { return counts_; }
  void set_stored_count(v1::Job::State state, uint64_t count) { counts_[state] = count; }

 private:
  [[nodiscard]] static QueueKey key_of(const v1::Job& job);
  [[nodiscard]] static std::string queue_name(const LiveJob& live);
  void enter_state(const LiveJob& live);
  void leave_state(const LiveJob& live);

  std::unordered_map<std::string, LiveJob> jobs_;
  std::unordered_map<std::string, Queue> queues_;
  uint64_t queued_ = 0;
  std::map<v1::Job::State, uint64_t> counts_;
  std::deque<std::pair<uint64_t, std::string>> ended_;
};

}  // namespace clusterd
