#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "clusterd/internal/store.pb.h"
#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "core/clock.h"
#include "store/term_sets.h"
#include "store/word_table.h"

namespace clusterd {

// What lists and retention go by, in memory: etcd finds records by their keys alone. Some 450 bytes
// a job; tasks of arrays are not in it. Also which request keys are about which job.
//
// Owned by EtcdStore, which fills it when a term begins and changes it after each commit; the
// leader alone writes the store. Any thread.
class EtcdIndex {
 public:
  static constexpr size_t kMostLooks = 5'000;  // with the lock held, some milliseconds

  struct Row {
    uint64_t seq = 0;
    std::string job_id;
  };
  struct Found {
    std::vector<Row> rows;
    uint64_t below = 0;   // all from here on has been looked at
    bool at_end = false;  // and there is none below
  };

  // Empty, and not loaded.
  void clear();
  void set_loaded();
  [[nodiscard]] bool is_loaded() const;

  // Not a task.
  void put(const v1::Job& job);
  void erase(const std::string& job_id);
  void put_request(const internal::IdempotencyRecord& record);
  void erase_request(const std::string& key);

  [[nodiscard]] bool contains(const std::string& job_id) const;
  // Newest first, below that seq, at most `limit`; fewer too after kMostLooks in vain.
  [[nodiscard]] Found list(const v1::ListJobsRequest& request, uint64_t below, size_t limit) const;
  // See Store.
  [[nodiscard]] std::vector<std::string> find_expired(WallTime before, uint64_t max_jobs,
                                                      size_t limit) const;
  [[nodiscard]] std::map<v1::Job::State, uint64_t> ended_counts() const;
  // Request keys older than that whose job, or whose task's array, is not here; at most `limit`.
  // Looks at a bounded number of keys and goes on there the next time.
  [[nodiscard]] std::vector<std::string> find_stale_requests(WallTime before, size_t limit);

 private:
  struct Entry {
    std::string job_id;
    std::string external_id;
    int64_t submit_time_ns = 0;
    int64_t end_time_ns = 0;
    std::vector<std::pair<uint32_t, uint32_t>> labels;  // words
    uint32_t worker = 0;
    uint32_t name = 0;
    uint32_t queue = 0;
    v1::Job::State state = v1::Job::STATE_UNSPECIFIED;
  };
  struct Filter;
  using Entries = std::map<uint64_t, Entry, std::greater<>>;  // by seq, newest first

  [[nodiscard]] bool make_filter(const v1::ListJobsRequest& request, Filter& filter) const;
  [[nodiscard]] bool meet(const Filter& filter, uint64_t& most, size_t& looks) const;
  [[nodiscard]] Entry make_entry(const v1::Job& job);
  [[nodiscard]] static std::vector<TermSets::Term> terms_of(const Entry& entry);
  void take_up(const Entry& entry, uint64_t seq);
  void release(const Entry& entry, uint64_t seq);
  [[nodiscard]] bool is_subject(const std::string& subject_id) const;

  mutable std::shared_mutex mutex_;  // guards all below
  bool is_loaded_ = false;
  WordTable words_;
  Entries entries_;
  TermSets sets_;
  absl::flat_hash_map<std::string, uint64_t> seqs_;          // by job id
  absl::flat_hash_map<std::string, uint64_t> external_ids_;  // seq by it
  std::set<std::pair<int64_t, uint64_t>> ended_;             // end time, seq
  std::map<v1::Job::State, uint64_t> ended_counts_;
  std::map<std::pair<int64_t, std::string>, std::string> requests_;  // time, key → subject
  absl::flat_hash_map<std::string, int64_t> request_times_;          // by key
  std::pair<int64_t, std::string> next_request_;  // where the next look for stale ones begins
};

}  // namespace clusterd
