#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "clusterd/v1/job.pb.h"
#include "core/label_expression.h"

namespace clusterd {

struct LiveJob;

// Order in the queue: priority, then acceptance; tasks of one array by their position.
struct QueueKey {
  uint64_t seq = 0;
  int32_t descending_priority = 0;
  uint32_t position = 0;

  bool operator==(const QueueKey&) const = default;
  auto operator<=>(const QueueKey& other) const {
    return std::tie(descending_priority, seq, position) <=>
           std::tie(other.descending_priority, other.seq, other.position);
  }
};

// What a job asks of a worker. Jobs that ask the same wait in one line, so that one look at the
// first of them tells that no other fits either.
struct Shape {
  std::string worker_id;  // the one it names; empty: any
  v1::Resources resources;
  std::vector<LabelExpression> require;
  std::vector<std::pair<LabelExpression, int32_t>> prefer;  // with its weight
  std::vector<std::string> tolerate;                        // taints: "key", "key=value" or "*"
  bool pack = false;
  std::vector<std::string> limits;  // names of those that it must be kept within
  // Which workers can do what it asks, by the protocol that they speak.
  bool suits_clusterd = true;
  bool suits_jobscheduler = false;
  bool suits_go_work = false;
  bool has_payload = false;
  bool has_script = false;  // that comes with the job
  bool is_in_gang = false;
  uint32_t gang_size = 0;  // tasks that must start at once; 0: one job alone
  std::string handler;     // empty: it is a process

  // The spec has passed check_job_spec(); `worker_id` is resolved.
  static Shape of(const v1::JobSpec& spec, const std::string& worker_id);
};

// Jobs that may start as soon as a worker has room, in order, one line for each shape
// within each named queue.
//
// The cost of a change, and of finding the next, goes with the number of shapes and not with the
// number of jobs. Owned by JobTable, whose jobs are in it as pointers; core thread only.
class ReadyQueue {
 public:
  struct Line {
    Shape shape;
    absl::btree_set<std::pair<QueueKey, LiveJob*>> jobs;  // never empty
    std::string queue;                                    // its name
    std::string shape_key;
    // WorkerTable::generation() in which no worker could ever run them; placement's own note.
    mutable uint64_t hopeless_in = 0;
  };
  struct Head {
    QueueKey key;
    const Line* line = nullptr;

    [[nodiscard]] LiveJob& job() const { return *line->jobs.begin()->second; }
  };

  // The line in which the job, whose spec this is, stands from now on; it is there until its last
  // job has left.
  [[nodiscard]] Line& insert(const QueueKey& key, LiveJob& job, const v1::JobSpec& spec,
                             const std::string& worker_id);
  void erase(const Line& line, const QueueKey& key, LiveJob& job);

  // Names of those that hold jobs.
  [[nodiscard]] std::vector<std::string> queues() const;
  // The first job of a line of that queue whose key is not below `from`; line null: there is none.
  [[nodiscard]] Head first_at_or_after(const std::string& queue, const QueueKey& from) const;
  // Jobs of that queue that come before `key`, counted up to `limit`.
  [[nodiscard]] uint64_t count_before(const std::string& queue, const QueueKey& key,
                                      uint64_t limit) const;
  [[nodiscard]] bool empty() const { return queues_.empty(); }

 private:
  struct Queue {
    std::unordered_map<std::string, Line> lines;  // by shape_key
    std::map<QueueKey, const Line*> heads;
  };

  std::map<std::string, Queue> queues_;  // by name; none is empty
};

}  // namespace clusterd
