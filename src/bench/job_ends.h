#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "bench/bench_run.h"

namespace clusterd::bench {

// Learns of the ends of jobs while others are submitted: some calls at one time, each of which
// waits for many jobs. Every one has to have SUCCEEDED.
//
// Owned by a measurement. Has a mutex (see docs/architecture.md#threads): jobs come from the
// threads that submit, and its own threads wait for them. The destructor abandons what is open.
class JobEnds {
 public:
  // `run` must outlive it.
  explicit JobEnds(const BenchRun& run) : run_(run) {}
  ~JobEnds();
  JobEnds(const JobEnds&) = delete;
  JobEnds& operator=(const JobEnds&) = delete;

  // Connects, and waits for jobs from now on.
  [[nodiscard]] absl::Status begin();
  // Any thread.
  void add(std::string job_id);
  // There are no further jobs. Returns when all have ended. FAILED_PRECONDITION names one that did
  // not succeed; DEADLINE_EXCEEDED: they take more than kJobsTimeout.
  [[nodiscard]] absl::Status wait();

 private:
  void work(SchedulerClient& client, const std::stop_token& stop);
  // Empty: there are no more, or it is to stop.
  [[nodiscard]] std::vector<std::string> take(const std::stop_token& stop);
  [[nodiscard]] absl::Status wait_for(SchedulerClient& client, std::vector<std::string> ids,
                                      const std::stop_token& stop) const;

  const BenchRun& run_;
  std::chrono::steady_clock::time_point deadline_;
  std::vector<std::unique_ptr<SchedulerClient>> clients_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::string> ids_;  // guarded by mutex_
  bool is_complete_ = false;     // guarded by mutex_
  absl::Status status_;          // guarded by mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace clusterd::bench
