#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Tasks of arrays and broadcasts. A task is a job of its own with the id `<job_id>.<index>`. One of
// an array has no record before it is first placed (or stopped by itself): what it looks like then
// follows from its array. Pure functions, any thread.

// The two parts of a task's id; nullopt where `job_id` is not of that form.
[[nodiscard]] std::optional<std::pair<std::string, uint32_t>> split_task_id(
    std::string_view job_id);
[[nodiscard]] std::string task_id(std::string_view job_id, uint32_t index);

// The job has tasks: it is an array or a broadcast, and not a task itself.
[[nodiscard]] bool has_tasks(const v1::Job& job);

// How many tasks an array has; step 0 is read as 1.
[[nodiscard]] uint32_t task_count(const v1::ArraySpec& array);
// The position, from 0, of the task with this index; nullopt: the array has no such task.
[[nodiscard]] std::optional<uint32_t> task_position(const v1::ArraySpec& array, uint32_t index);
// The index of the task at this position.
[[nodiscard]] uint32_t task_index(const v1::ArraySpec& array, uint32_t position);

// The state of the tasks of `array` that have no record.
[[nodiscard]] v1::Job::State unstarted_state(const v1::Job& array);
// The task with this index as it is without a record: QUEUED, or ended as
// `array.unstarted_end()` says. Its spec is the array's without `array`, `after`, `start_at` and
// `start_delay`, which were met by the array, and without the content of `script`, which the array
// keeps for all.
[[nodiscard]] v1::Job unstarted_task(const v1::Job& array, uint32_t index);

}  // namespace clusterd
