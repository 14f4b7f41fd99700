#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "core/clock.h"
#include "core/event_loop.h"
#include "worker/launcher/scratch_folders.h"

namespace clusterd {

// Deletes output below `data_dir`, and with it the scratch folders that were kept: what is too old,
// and what the scheduler says that nobody can ask for any more. Never of an attempt that is held,
// or that a reader waits for.
//
// Owned by WorkerCore, which ends its loops first. The disk is touched on the files thread, what is
// in use is asked for on the core thread.
class OutputCleaner {
 public:
  // `in_use` is called on the core thread. The loops outlive what is posted to them.
  // `scratch_dir` empty: there are no scratch folders.
  OutputCleaner(std::string data_dir, std::string scratch_dir, std::chrono::nanoseconds max_age,
                EventLoop& core, EventLoop& files,
                std::function<bool(const v1::AttemptKey&)> in_use);

  // Files thread: deletes output in which nothing has been written for `max_age`.
  void sweep(WallTime now);
  // Core thread: deletes all output of these jobs and then calls `deleted` there with the jobs of
  // which nothing is left. The others are named again by the scheduler.
  void delete_jobs(std::vector<std::string> job_ids,
                   absl::AnyInvocable<void(v1::OutputsDeleted)> deleted);

 private:
  struct JobOutput {
    std::string job_id;
    std::vector<v1::AttemptKey> attempts;
  };

  // Kept scratch folders: numbers of attempts by job.
  using KeptScratch = std::map<std::string, std::set<uint32_t>>;

  [[nodiscard]] KeptScratch find_kept_scratch();
  [[nodiscard]] std::vector<v1::AttemptKey> attempts_of(const std::string& job_id,
                                                        const KeptScratch& kept) const;
  [[nodiscard]] std::vector<v1::AttemptKey> find_old(WallTime now);
  [[nodiscard]] bool erase(const v1::AttemptKey& key);

  const std::string data_dir_;
  const std::string scratch_dir_;
  const std::chrono::nanoseconds max_age_;
  EventLoop& core_;
  EventLoop& files_;
  const std::function<bool(const v1::AttemptKey&)> in_use_;
  ScratchFolders scratch_;  // removes what may take long, on a thread of its own
};

}  // namespace clusterd
