#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "clusterd/internal/store.pb.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"

namespace clusterd {

// What one decision wants kept. Applied whole or not at all; within one batch the last word on a
// key counts, deletions after puts.
struct StoreBatch {
  std::vector<v1::Job> put_jobs;
  std::vector<std::string> delete_jobs;
  std::vector<internal::WorkerRecord> put_workers;
  std::vector<std::string> delete_workers;
  std::vector<internal::IdempotencyRecord> put_idempotency;
  std::vector<std::string> delete_idempotency;

  [[nodiscard]] bool empty() const {
    return put_jobs.empty() && delete_jobs.empty() && put_workers.empty() &&
           delete_workers.empty() && put_idempotency.empty() && delete_idempotency.empty();
  }
};

// What a term of office starts from.
struct StoreContents {
  internal::StoreMeta meta;        // the new epoch included
  std::vector<v1::Job> live_jobs;  // every job that has not ended, by seq
  std::vector<internal::WorkerRecord> workers;
  std::map<v1::Job::State, uint64_t> ended_counts;  // jobs that have ended, by state
  std::vector<std::string> set_aside;               // what did not parse: "jobs 0192…: truncated"
};

// Seam: where jobs, workers and idempotency keys are kept.
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

  // NOT_FOUND where there is none; DATA_LOSS where the record does not parse.
  virtual absl::StatusOr<v1::Job> find_job(const std::string& job_id) = 0;

  // Newest first. INVALID_ARGUMENT: `page_token` is not one of ours. `request.worker_id` is an id
  // already, not a name.
  virtual absl::StatusOr<v1::ListJobsResponse> list_jobs(const v1::ListJobsRequest& request) = 0;

  // nullopt where there is none.
  virtual absl::StatusOr<std::optional<internal::IdempotencyRecord>> find_idempotency(
      const std::string& key) = 0;

  // Bytes that may still be written where the store lies. Any thread.
  virtual absl::StatusOr<uint64_t> free_bytes() = 0;
};

}  // namespace clusterd
