#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "store/store.h"

namespace clusterd {

// A store that works, in memory: it keeps what is committed from one term of office to the next,
// and can be told that a commit shall fail.
//
// Any thread, as the interface says.
class MemoryStore final : public Store {
 public:
  // What becomes of the failing commit: nothing of it is there at the next term, or all of it is.
  enum class Failure { kNothingKept, kKeptButUnknown };

  // The `number`th commit from now on (1: the next) gives UNAVAILABLE.
  void fail_commit(uint64_t number, Failure failure);
  // begin_term() gives UNAVAILABLE while this is set.
  void set_unreachable(bool unreachable);

  [[nodiscard]] uint64_t commits() const;  // those that failed included

  absl::StatusOr<StoreContents> begin_term() override;
  absl::Status commit(absl::Span<const StoreBatch> batches) override;
  absl::StatusOr<v1::Job> find_job(const std::string& job_id) override;
  absl::StatusOr<v1::ListJobsResponse> list_jobs(const v1::ListJobsRequest& request) override;
  absl::StatusOr<std::optional<internal::IdempotencyRecord>> find_idempotency(
      const std::string& key) override;
  absl::StatusOr<uint64_t> free_bytes() override;
  void set_free_bytes(uint64_t bytes);

 private:
  void apply(const StoreBatch& batch);

  mutable std::mutex mutex_;
  internal::StoreMeta meta_;
  std::map<std::string, v1::Job> jobs_;
  std::map<std::string, internal::WorkerRecord> workers_;
  std::map<std::string, internal::IdempotencyRecord> idempotency_;
  uint64_t commits_ = 0;
  uint64_t failing_commit_ = 0;  // by the count above; 0: none
  Failure failure_ = Failure::kNothingKept;
  bool unreachable_ = false;
  uint64_t free_bytes_ = UINT64_MAX;
};

}  // namespace clusterd
