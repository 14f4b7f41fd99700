#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "clusterd/v1/job.pb.h"
#include "core/clock.h"
#include "core/seldom.h"
#include "scheduler/decision.h"
#include "scheduler/queue_table.h"
#include "scheduler/ready_queue.h"
#include "scheduler/task_group.h"

namespace clusterd {

// What a worker is to do with a job: start it, or stop it.
struct Order {
  BootTime attempt_at;  // when the newest attempt was given to its worker; none: in another term
  bool is_pending = false;  // it is on its way and not answered yet
  uint32_t resends = 0;

  void answered() {
    is_pending = false;
    resends = 0;
  }
};

// The call that submitted a job.
struct Submission {
  std::string request_key;  // empty: none
  CallId start_call = 0;    // of a directed start, while the caller waits for the verdict
};

// What a job waits for besides room.
struct Obstacles {
  std::set<std::string> unmet;  // jobs of `after` that have not ended
  BootTime not_before;          // by start_at, start_delay, or the wait before a retry
};

// A job or task that has not ended, or whose end is not durable yet.
struct LiveJob {
  v1::Job job;
  uint64_t commit = 0;               // number of the commit that holds its newest change
  uint32_t array_id_size = 0;        // of a task: so much of its id is that of its array
  uint32_t position = 0;             // of a task, within its array
  std::unique_ptr<TaskGroup> tasks;  // of an array or a broadcast
  Seldom<Order> order;               // its newest
  Seldom<Submission> submission;
  Seldom<std::vector<CallId>> waiters;  // calls that wait for a change of it

  // While it waits:
  Seldom<Obstacles> obstacles;
  std::optional<BootTime> eligible_at;     // since when nothing but room is missing
  const ReadyQueue::Line* line = nullptr;  // in which it stands in the queue; null: in none

  [[nodiscard]] bool is_task() const { return array_id_size > 0; }
  // Of a task; empty: it is none.
  [[nodiscard]] std::string_view array_id() const {
    return std::string_view(job.job_id()).substr(0, array_id_size);
  }
  // Id of the worker that it names; empty: any.
  [[nodiscard]] const std::string& target() const {
    return job.spec().worker_id().empty() ? job.spec().worker_id() : job.worker_id();
  }
};

// The jobs that are alive, the queue, and how many jobs are in each state.
//
// Owned by Scheduler; core thread only. Pointers to entries hold until the entry is erased.
class JobTable {
 public:
  // There will be so many.
  void reserve(size_t jobs) { jobs_.reserve(jobs); }
  [[nodiscard]] LiveJob* find(std::string_view job_id);
  // The one whose submitter calls it so.
  [[nodiscard]] LiveJob* find_external(const std::string& external_id);
  // In the place of one with its id, if there is any.
  LiveJob& insert(LiveJob job);
  void erase(std::string_view job_id);

  // Changes the state; keeps the counts true. A job that leaves QUEUED leaves the queue.
  void set_state(LiveJob& job, v1::Job::State state);
  // Puts it in the queue or takes it out. While it is in, its `eligible_at` stays.
  void set_ready(LiveJob& job, bool ready);

  // The job has ended with commit `live.commit`; it leaves once that is durable.
  void retire(const LiveJob& live) { ended_.emplace_back(live.commit, live.job.job_id()); }
  // Erases the jobs whose ends are durable with commit `number`.
  void evict_until(uint64_t number);

  [[nodiscard]] const ReadyQueue& ready() const { return ready_; }
  [[nodiscard]] static QueueKey key_of(const LiveJob& live);

  // The second (CLOCK_BOOTTIME) since which the one that has waited longest of those in the queue
  // lacks nothing but room; nullopt: the queue is empty.
  [[nodiscard]] std::optional<int64_t> oldest_ready_second() const;

  // Jobs that wait for a worker; an array counts as one while a task of it waits.
  [[nodiscard]] uint64_t queued() const { return queued_; }
  // An array begins or ceases to have tasks that wait, or has more or less of them.
  void set_waiting_tasks(const LiveJob& array, bool waiting);

  // Named queues; their counts are those of these jobs.
  [[nodiscard]] QueueTable& queues() { return queues_; }
  [[nodiscard]] const QueueTable& queues() const { return queues_; }

  // Ids of the jobs of a schedule that have not ended, oldest first.
  [[nodiscard]] std::vector<std::string> unended_of_schedule(const std::string& schedule);

  // Of all scripts that came with these jobs, in bytes.
  [[nodiscard]] uint64_t script_bytes() const { return script_bytes_; }

  // Jobs (not tasks) in each state. Ended ones count until they are deleted; starts from what the
  // store held.
  [[nodiscard]] const std::map<v1::Job::State, uint64_t>& counts() const { return counts_; }
  // Jobs and tasks that were seen to end, by their state; without arrays.
  [[nodiscard]] const std::map<v1::Job::State, uint64_t>& ended_counts() const {
    return ended_counts_;
  }
  void set_stored_count(v1::Job::State state, uint64_t count) { counts_[state] = count; }
  // An ended job comes back to life, or is deleted.
  void uncount(v1::Job::State state) { --counts_[state]; }

  // Those that are wanted, in the order of the queue; arrays before their tasks.
  [[nodiscard]] std::vector<LiveJob*> in_order(absl::FunctionRef<bool(const LiveJob&)> wanted);

 private:
  // Equality and hash of entries, which have their ids in themselves.
  struct ById {
    using is_transparent = void;
    static std::string_view id(std::string_view id) { return id; }
    static std::string_view id(const std::unique_ptr<LiveJob>& live) { return live->job.job_id(); }
    size_t operator()(const auto& entry) const { return std::hash<std::string_view>()(id(entry)); }
    bool operator()(const auto& a, const auto& b) const { return id(a) == id(b); }
  };
  using Jobs = absl::flat_hash_set<std::unique_ptr<LiveJob>, ById, ById>;

  void remove(Jobs::const_iterator entry);
  void count(const LiveJob& live, int by);
  void index_schedule(const LiveJob& live);
  void unindex_schedule(const LiveJob& live);
  void count_ready(const LiveJob& live, bool ready);

  Jobs jobs_;
  std::unordered_map<std::string, std::string> by_external_id_;
  std::map<std::string, std::map<uint64_t, std::string>> by_schedule_;  // by seq
  ReadyQueue ready_;
  QueueTable queues_;
  std::map<int64_t, uint64_t> ready_by_second_;
  uint64_t queued_ = 0;
  uint64_t script_bytes_ = 0;
  std::map<v1::Job::State, uint64_t> counts_;
  std::map<v1::Job::State, uint64_t> ended_counts_;
  std::deque<std::pair<uint64_t, std::string>> ended_;
};

}  // namespace clusterd
