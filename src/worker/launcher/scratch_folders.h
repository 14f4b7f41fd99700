#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "clusterd/internal/launcher.pb.h"

namespace clusterd {

// The scratch folders of attempts: made before the start, removed after the end on a thread of its
// own, since that may take long. What a launcher that died left behind is swept.
//
// Owned by the supervisor. make() on spawn threads, the rest on any. The destructor goes on for at
// most a second, and leaves what remains to the next sweep. Locks and data are together; see
// docs/architecture.md#threads.
class ScratchFolders {
 public:
  ScratchFolders();
  ~ScratchFolders();
  ScratchFolders(const ScratchFolders&) = delete;
  ScratchFolders& operator=(const ScratchFolders&) = delete;

  // Makes the folder that the plan names, if any, for the job's user alone. RESOURCE_EXHAUSTED,
  // UNAVAILABLE: it could not. Blocks on the disk.
  [[nodiscard]] absl::Status make(const internal::LaunchPlan& plan);

  // One of an attempt that an earlier launcher started: a sweep leaves it.
  void hold(const std::string& path);
  // Removes it soon.
  void remove(std::string path);
  // True for the name of a folder whose removal has begun.
  [[nodiscard]] static bool is_being_removed(std::string_view name);
  // Removes what is in this folder and is not held, soon.
  void sweep(std::string folder);

 private:
  struct Task {
    std::string path;
    bool is_sweep = false;
  };

  void push(Task task);
  void work();
  void sweep_now(const std::string& folder);
  void remove_now(const std::string& path);
  // Gives what is at `path` a name that nobody else uses; empty: nothing is there.
  [[nodiscard]] std::string move_away(const std::string& path);

  std::mutex names_mutex_;      // may be held while the disk is waited for
  std::set<std::string> held_;  // guarded by names_mutex_

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;  // guarded by mutex_, as the next
  bool closing_ = false;
  bool done_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> moved_ = 0;
  std::thread thread_;
};

}  // namespace clusterd
