#include "scheduler/task_group.h"

#include <utility>

#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"

namespace clusterd {

TaskGroup::TaskGroup(uint32_t count, uint32_t max_parallel)
    : states_(count), max_parallel_(max_parallel), retry_cursor_(count) {
  counts_[0] = count;
}

std::unique_ptr<TaskGroup> TaskGroup::of(const v1::Job& job, const RecordedTasks& recorded) {
  const v1::ArraySpec& array = job.spec().array();
  const bool is_array = job.spec().has_array();
  const uint32_t count = is_array           ? task_count(array)
                         : recorded.empty() ? 0
                                            : recorded.back().first + 1;
  auto group = std::make_unique<TaskGroup>(count, array.max_parallel());
  for (const auto& [index, state] : recorded) {
    const auto position = is_array ? task_position(array, index) : std::optional(index);
    if (position) group->set_state(*position, state);
  }
  return group;
}

void TaskGroup::set_state(uint32_t position, v1::Job::State state) {
  --counts_.at(states_.at(position));
  states_.at(position) = static_cast<uint8_t>(state);
  ++counts_.at(states_.at(position));
}

v1::Job::State TaskGroup::state(uint32_t position) const {
  return static_cast<v1::Job::State>(states_.at(position));
}

std::optional<uint32_t> TaskGroup::first_unstarted() {
  while (unstarted_cursor_ < size() && states_[unstarted_cursor_] != 0) ++unstarted_cursor_;
  if (unstarted_cursor_ == size()) return std::nullopt;
  return unstarted_cursor_;
}

uint64_t TaskGroup::live() const {
  return counts_[v1::Job::QUEUED] + counts_[v1::Job::STARTING] + counts_[v1::Job::RUNNING];
}

bool TaskGroup::is_full() const {
  return max_parallel_ != 0 &&
         counts_[v1::Job::STARTING] + counts_[v1::Job::RUNNING] >= max_parallel_;
}

void TaskGroup::count_into(v1::Job& array, v1::Job::State unstarted) const {
  std::array<uint64_t, kStates> shown = counts_;
  shown.at(unstarted) += std::exchange(shown[0], 0);
  auto& counts = *array.mutable_task_counts();
  for (size_t state = 1; state < kStates; ++state) {
    const std::string name(name_of(static_cast<v1::Job::State>(state)));
    if (shown.at(state) > 0) {
      counts[name] = shown.at(state);
    } else {
      counts.erase(name);
    }
  }
}

std::vector<uint32_t> TaskGroup::take_retries(size_t limit) {
  std::vector<uint32_t> positions;
  for (; retry_cursor_ < size() && positions.size() < limit; ++retry_cursor_) {
    const v1::Job::State state = this->state(retry_cursor_);
    if (is_final(state) && state != v1::Job::SUCCEEDED) positions.push_back(retry_cursor_);
  }
  return positions;
}

}  // namespace clusterd
