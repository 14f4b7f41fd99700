#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "clusterd/internal/store.pb.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "core/clock.h"

namespace clusterd {

// Output of a job whose record is gone, on a worker that has not said yet that it is deleted.
struct DoomedOutput {
  std::string worker_id;
  std::string job_id;
};

// Index and state of tasks that have records, by index.
using RecordedTasks = std::vector<std::pair<uint32_t, v1::Job::State>>;

// What one decision wants kept. Applied whole or not at all; within one batch the last word on a
// key counts, deletions after puts.
struct StoreBatch {
  std::vector<v1::Job> put_jobs;  // tasks `<job_id>.<index>` too
  // Records of an array's tasks go with it, some hundreds with each later upkeep. Whatever has
  // output on a worker is remembered as doomed there.
  std::vector<std::string> delete_jobs;
  // The same for jobs that were never shown and have no output.
  std::vector<std::string> forget_jobs;
  std::vector<internal::WorkerRecord> put_workers;
  std::vector<std::string> delete_workers;
  std::vector<internal::IdempotencyRecord> put_idempotency;
  std::vector<std::string> delete_idempotency;
  std::vector<v1::Schedule> put_schedules;
  std::vector<std::string> delete_schedules;  // by name
  std::vector<v1::Queue> put_queues;          // what was set up of them
  std::vector<std::string> delete_queues;     // by name
  std::vector<v1::Event> put_events;          // by seq; the newest `max_events` are kept
  std::vector<DoomedOutput> delete_doomed;
  // Deletes request keys older than this whose subject has no record any more, tasks of deleted
  // arrays, and gives room back to the file system; some hundreds of records each time.
  std::optional<WallTime> upkeep;

  [[nodiscard]] bool empty() const {
    return put_jobs.empty() && delete_jobs.empty() && forget_jobs.empty() && put_workers.empty() &&
           delete_workers.empty() && put_schedules.empty() && delete_schedules.empty() &&
           put_queues.empty() && delete_queues.empty() && put_idempotency.empty() &&
           delete_idempotency.empty() && put_events.empty() && delete_doomed.empty() && !upkeep;
  }
};

// What a term of office starts from.
struct StoreContents {
  internal::StoreMeta meta;  // the new epoch included
  // Every job and task that has not ended, by seq and index; without `pending_reason`, which is
  // worked out when somebody asks.
  std::vector<v1::Job> live_jobs;
  std::map<std::string, RecordedTasks> recorded_tasks;  // of each live job that has tasks
  std::vector<internal::WorkerRecord> workers;
  std::vector<v1::Schedule> schedules;              // by name
  std::vector<v1::Queue> queues;                    // by name
  std::map<v1::Job::State, uint64_t> ended_counts;  // jobs (not tasks) that have ended, by state
  std::vector<std::string> set_aside;               // what did not parse: "jobs 0192…: truncated"
};

// Seam: where jobs, workers, events and idempotency keys are kept.
//
// begin_term() and commit() are called by one thread at a time; the reads by any.
class Store {
 public:
  virtual ~Store() = default;

  // Raises the epoch durably and returns what is stored. A record that does not parse is set
  // aside and named. FAILED_PRECONDITION: made by a newer program. UNAVAILABLE: cannot be opened.
  virtual absl::StatusOr<StoreContents> begin_term() = 0;

  // Writes the batches in order as one transaction and returns when it is on the disk
  // (fdatasync). Any error ends the term of office: the outcome is unknown, nothing is retried.
  virtual absl::Status commit(absl::Span<const StoreBatch> batches) = 0;

  // A task without a record is made from its array's. NOT_FOUND where there is none; DATA_LOSS
  // where the record does not parse.
  virtual absl::StatusOr<v1::Job> find_job(const std::string& job_id) = 0;

  // Newest first. INVALID_ARGUMENT: `page_token` is not one of ours. `request.worker_id` is an id
  // already, not a name.
  virtual absl::StatusOr<v1::ListJobsResponse> list_jobs(const v1::ListJobsRequest& request) = 0;

  // By index, tasks without a record included. NOT_FOUND: no such job. FAILED_PRECONDITION: it
  // has no tasks. INVALID_ARGUMENT: `page_token` is not one of ours. `request.worker_id` is
  // ignored.
  virtual absl::StatusOr<v1::ListJobsResponse> list_tasks(const v1::ListTasksRequest& request) = 0;

  // The tasks of a job that have records, by index.
  virtual absl::StatusOr<RecordedTasks> recorded_tasks(const std::string& job_id) = 0;

  // nullopt where there is none.
  virtual absl::StatusOr<std::optional<internal::IdempotencyRecord>> find_idempotency(
      const std::string& key) = 0;

  // Events after `since`, oldest first, at most `limit`. OUT_OF_RANGE: some of them are no longer
  // kept.
  virtual absl::StatusOr<std::vector<v1::Event>> read_events(uint64_t since, size_t limit) = 0;

  // Ids of jobs (not tasks) that ended before `before`, or are beyond the newest `max_jobs` jobs
  // that have ended; oldest first, at most `limit`.
  virtual absl::StatusOr<std::vector<std::string>> find_expired(WallTime before, uint64_t max_jobs,
                                                                size_t limit) = 0;

  // Job ids whose output on this worker is to be deleted; at most `limit`.
  virtual absl::StatusOr<std::vector<std::string>> find_doomed(const std::string& worker_id,
                                                               size_t limit) = 0;

  // Bytes that may still be written where the store lies. Any thread.
  virtual absl::StatusOr<uint64_t> free_bytes() = 0;

  // The daemon stops: reads that wait for others fail, and a commit waits for no room. Any thread;
  // for good.
  virtual void end_waits() {}
};

}  // namespace clusterd
