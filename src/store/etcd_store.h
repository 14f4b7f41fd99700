#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "store/etcd_caretaker.h"
#include "store/etcd_client.h"
#include "store/etcd_index.h"
#include "store/etcd_keys.h"
#include "store/etcd_writer.h"
#include "store/store.h"

namespace clusterd {

// The store of several schedulers, in etcd: written by the one that is the leader.
//
// Owned by run_scheduler. set_leader() by any thread; begin_term() and commit() by one at a time,
// the rest by any. Everything blocks. A term begins with what the leader key says: without one, or
// with one that is gone, begin_term() and commit() are FAILED_PRECONDITION and write nothing. Reads
// are linearizable; lists go by an index in memory that is filled by begin_term().
class EtcdStore final : public Store {
 public:
  struct Options {
    std::string prefix = "/clusterd/";
    uint64_t max_events = 100'000;  // the newest are kept
    // How long a commit that nobody answers is sent again.
    std::chrono::nanoseconds patience = std::chrono::seconds(10);
    EtcdCaretaker::Options care = {};
  };

  // Connects with the first call. Both outlive this.
  EtcdStore(EtcdClient& client, const Clock& clock, const Options& options);

  // The key that we hold; nullopt: we are not the leader. Counts from the next begin_term() on.
  void set_leader(std::optional<LeaderKey> leader);

  // The epoch is the leader key's create revision, or one above the last term's where that is
  // higher: of a term before it under the same key, or of another etcd.
  absl::StatusOr<StoreContents> begin_term() override;
  // A batch that is larger than one transaction of etcd is staged; a group of batches is cut
  // between them, so that the first ones may be written where a later one fails. While etcd has no
  // space it waits, for as long as we lead.
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
  // Of the quota.
  absl::StatusOr<uint64_t> free_bytes() override;
  void end_waits() override;

 private:
  struct Group;

  [[nodiscard]] absl::StatusOr<internal::StoreMeta> meta_or_new();
  [[nodiscard]] absl::Status take_office(const LeaderKey& leader, StoreContents& contents);
  // Etcd has none. Whether to try again, after a while.
  [[nodiscard]] bool wait_for_space();
  [[nodiscard]] absl::Status write(EtcdChanges changes);
  [[nodiscard]] absl::Status write(Group& group);
  void add_events(const Group& group, EtcdChanges& changes);
  void add_to_index(absl::Span<const StoreBatch> batches);
  [[nodiscard]] absl::Status sweep(WallTime keys_before);
  [[nodiscard]] absl::Status sweep_tasks();
  [[nodiscard]] absl::Status sweep_requests(WallTime before);

  EtcdClient& client_;
  const EtcdKeys keys_;
  const uint64_t max_events_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<LeaderKey> leader_;  // guarded by mutex_
  bool ends_waits_ = false;          // guarded by mutex_
  EtcdIndex index_;
  EtcdWriter writer_;
  internal::StoreMeta meta_;  // as of the last commit; of the thread that commits
  std::atomic<uint64_t> last_event_seq_ = 0;
  uint64_t pruned_events_ = 0;  // up to this one
  EtcdCaretaker caretaker_;     // ends first
};

}  // namespace clusterd
