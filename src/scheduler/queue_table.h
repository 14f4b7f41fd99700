#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/queue.pb.h"

namespace clusterd {

// The queue of jobs that name none.
inline constexpr char kDefaultQueue[] = "default";

// Name of the queue in which such a job stands.
[[nodiscard]] std::string queue_of(const v1::JobSpec& spec);

// Named queues: what was set up for each, and what their jobs take at the moment. One that nobody
// has set up is known while it holds jobs.
//
// Owned by JobTable; core thread only.
class QueueTable {
 public:
  // As it is, or as one that nobody has set up.
  [[nodiscard]] v1::Queue get(const std::string& name) const;
  // The same without a copy; null: nothing is known of it.
  [[nodiscard]] const v1::Queue* find(const std::string& name) const;
  // It was set up, or holds jobs.
  [[nodiscard]] bool knows(const std::string& name) const { return queues_.contains(name); }
  // By name.
  [[nodiscard]] const std::map<std::string, v1::Queue>& all() const { return queues_; }

  // What somebody has set up; what its jobs take stays.
  void set_up(const v1::Queue& queue);
  void forget(const std::string& name);

  // An attempt, or one less, that takes these slots.
  void count_running(const std::string& name, int by, uint32_t slots);
  // Jobs that wait, more or less of them.
  void count_queued(const std::string& name, int64_t by);

  // Why so many more attempts of it may not start now; empty: they may.
  [[nodiscard]] std::string obstacle(const std::string& name, uint64_t attempts) const;

 private:
  [[nodiscard]] v1::Queue& kept(const std::string& name);
  // Drops it where nothing is known of it any more.
  void tidy(const std::string& name);

  std::map<std::string, v1::Queue> queues_;
};

// What is kept of a queue: what somebody has set up.
[[nodiscard]] v1::Queue stored(v1::Queue queue);

}  // namespace clusterd
