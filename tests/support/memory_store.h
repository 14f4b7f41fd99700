#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/store.h"

namespace clusterd {

// A store that works, in memory: it keeps what is committed from one term of office to the next,
// and can be told that a commit shall fail.
//
// Any thread, as the interface says.
class MemoryStore final : public Store {
 public:
  // The newest `max_events` events are kept.
  explicit MemoryStore(uint64_t max_events = 100'000) : max_events_(max_events) {}

  // What becomes of the failing commit: nothing of it is there at the next term, or all of it is.
  enum class Failure { kNothingKept, kKeptButUnknown };

  // The `number`th commit from now on (1: the next) gives UNAVAILABLE.
  void fail_commit(uint64_t number, Failure failure);
  // begin_term() gives UNAVAILABLE while this is set.
  void set_unreachable(bool unreachable);
  // What find_job() gives instead of an answer; OK: answers again.
  void fail_reads(absl::Status status);

  [[nodiscard]] uint64_t commits() const;  // those that failed included

  absl::StatusOr<StoreContents> begin_term() override;
  absl::Status commit(absl::Span<const StoreBatch> batches) override;
  absl::StatusOr<v1::Job> find_job(const std::string& job_id) override;
  absl::StatusOr<v1::ListJobsResponse> list_jobs(const v1::ListJobsRequest& request) override;
  absl::StatusOr<v1::ListJobsResponse> list_tasks(const v1::ListTasksRequest& request) override;
  absl::StatusOr<RecordedTasks> recorded_tasks(const std::string& job_id) override;
  absl::StatusOr<std::optional<internal::IdempotencyRecord>> find_idempotency(
      const std::string& key) override;
  absl::StatusOr<std::vector<v1::Event>> read_events(uint64_t since, size_t limit) override;
  absl::StatusOr<std::vector<std::string>> find_expired(WallTime before, uint64_t max_jobs,
                                                        size_t limit) override;
  absl::StatusOr<std::vector<std::string>> find_doomed(const std::string& worker_id,
                                                       size_t limit) override;
  absl::StatusOr<uint64_t> free_bytes() override;
  void set_free_bytes(uint64_t bytes);

  // Calls `visit` with each record of a job or task; it may not call the store.
  void visit_jobs(const std::function<void(const v1::Job&)>& visit) const;
  // All of them.
  [[nodiscard]] std::map<std::string, v1::Job> jobs() const;
  [[nodiscard]] std::vector<internal::WorkerRecord> workers() const;
  [[nodiscard]] std::map<std::string, v1::Schedule> schedules() const;
  [[nodiscard]] std::map<std::string, v1::Queue> queues() const;

 private:
  // Of `<job_id>.<index>`, so that an array's tasks lie behind it, by index.
  using JobKey = std::pair<std::string, int64_t>;

  void apply(const StoreBatch& batch);
  void erase(const std::string& job_id);
  void doom(const v1::Job& job);
  void sweep_keys(WallTime before);
  [[nodiscard]] const v1::Job* find(const std::string& job_id) const;
  [[nodiscard]] RecordedTasks tasks_of(const std::string& job_id) const;

  const uint64_t max_events_;
  mutable std::mutex mutex_;
  internal::StoreMeta meta_;
  std::map<JobKey, v1::Job> jobs_;
  std::map<uint64_t, v1::Event> events_;
  std::map<std::string, std::set<std::string>> doomed_;  // by worker
  std::map<std::string, internal::WorkerRecord> workers_;
  std::map<std::string, internal::IdempotencyRecord> idempotency_;
  std::map<std::string, v1::Schedule> schedules_;
  std::map<std::string, v1::Queue> queues_;
  uint64_t commits_ = 0;
  uint64_t failing_commit_ = 0;  // by the count above; 0: none
  Failure failure_ = Failure::kNothingKept;
  bool unreachable_ = false;
  absl::Status reads_;
  uint64_t free_bytes_ = UINT64_MAX;
};

}  // namespace clusterd
