#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace clusterd {

// Runs tasks at a later time, on one thread of its own.
//
// Owned by Client; any thread. Has a mutex (see docs/architecture.md#threads): calls are given from
// gRPC's threads. The destructor drops what is not due yet.
class CallTimer {
 public:
  using Time = std::chrono::steady_clock::time_point;

  CallTimer();
  ~CallTimer();
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;

  // Returns a number for hasten().
  uint64_t run_at(Time time, std::function<void()> task);
  // The task is due now, if it has not run yet.
  void hasten(uint64_t number);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::pair<Time, uint64_t>, std::function<void()>> tasks_;  // guarded by mutex_
  uint64_t last_ = 0;                                                 // guarded by mutex_
  bool stopping_ = false;                                             // guarded by mutex_
  std::thread thread_;
};

}  // namespace clusterd
