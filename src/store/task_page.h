#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// One page of an array's tasks: takes the records that there are, by index, and makes the tasks
// between them that have none.
//
// A value on the stack of one read. `array` and `request` outlive it.
class TaskPage {
 public:
  TaskPage(const v1::Job& array, const v1::ListTasksRequest& request);

  // FAILED_PRECONDITION: the job has no tasks. INVALID_ARGUMENT: not a token of ours.
  [[nodiscard]] const absl::Status& status() const { return status_; }
  // The first index that is wanted.
  [[nodiscard]] int64_t next_index() const { return next_; }
  // Tasks without a record are part of what was asked for.
  [[nodiscard]] bool wants_unrecorded() const { return wants_unrecorded_; }
  [[nodiscard]] bool wants(v1::Job::State state) const;
  // No further record is needed: the page has as many tasks, or bytes, as one may.
  [[nodiscard]] bool is_full() const { return full_; }

  // The next record, by index. Where the request wants only some states, the others need not be
  // added unless wants_unrecorded().
  void add(uint32_t index, const v1::Job& task);
  // The page; all records from next_index() on were added, or is_full().
  [[nodiscard]] v1::ListJobsResponse finish();

 private:
  void add_unrecorded_below(int64_t end);
  // Takes the task unless the page is full.
  void take(int64_t index, v1::Job task);

  const v1::Job& array_;
  const v1::ListTasksRequest& request_;
  absl::Status status_;
  v1::ListJobsResponse page_;
  size_t page_size_;
  size_t bytes_ = 0;
  int64_t next_ = 0;
  bool wants_unrecorded_ = false;
  bool full_ = false;
};

// The text of read_events()'s OUT_OF_RANGE.
[[nodiscard]] std::string events_dropped(uint64_t since, uint64_t oldest);

}  // namespace clusterd
