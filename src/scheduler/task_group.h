#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "store/store.h"

namespace clusterd {

// The tasks of one array or broadcast, a byte for each: what the scheduler knows of them without
// their records.
//
// Owned by the LiveJob of the array; core thread only.
class TaskGroup {
 public:
  // `count` tasks without records; `max_parallel` 0: no bound.
  TaskGroup(uint32_t count, uint32_t max_parallel);
  // Those of a job that has tasks. A broadcast has as many as have records.
  static std::unique_ptr<TaskGroup> of(const v1::Job& job, const RecordedTasks& recorded);

  // The task has a record, in this state, from now on.
  void set_state(uint32_t position, v1::Job::State state);
  // STATE_UNSPECIFIED: it has no record.
  [[nodiscard]] v1::Job::State state(uint32_t position) const;
  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(states_.size()); }

  // The first task without a record; nullopt: all have one.
  [[nodiscard]] std::optional<uint32_t> first_unstarted();
  [[nodiscard]] uint64_t unstarted() const { return counts_[0]; }
  // Tasks with records that have not ended.
  [[nodiscard]] uint64_t live() const;
  // As many tasks run as may.
  [[nodiscard]] bool is_full() const;
  // All tasks succeeded.
  [[nodiscard]] bool all_succeeded() const { return succeeded() == size(); }
  [[nodiscard]] uint64_t succeeded() const { return counts_[v1::Job::SUCCEEDED]; }
  // Sets the array's `task_counts`; tasks without a record count as `unstarted`.
  void count_into(v1::Job& array, v1::Job::State unstarted) const;

  // --- a retry of the whole: tasks that ended without success are looked at again, some at a time
  void begin_retry() { retry_cursor_ = 0; }
  void end_retry() { retry_cursor_ = size(); }
  [[nodiscard]] bool retrying() const { return retry_cursor_ < size(); }
  // The next positions that ended without success, at most `limit`; they are not given again.
  [[nodiscard]] std::vector<uint32_t> take_retries(size_t limit);

  std::set<std::string> live_tasks;  // with a record, and not ended
  std::vector<std::string> peers;    // of a gang: names of its workers by rank; empty: not known
  uint64_t lookups = 0;              // of tasks to retry, not answered yet
  bool counted_as_queued = false;    // see JobTable::set_waiting_tasks()
  uint64_t counted_waiting = 0;      // the same for its named queue, task by task

 private:
  static constexpr size_t kStates = v1::Job::State_ARRAYSIZE;

  std::vector<uint8_t> states_;
  std::array<uint64_t, kStates> counts_{};
  uint32_t max_parallel_;
  uint32_t unstarted_cursor_ = 0;
  uint32_t retry_cursor_;
};

}  // namespace clusterd
