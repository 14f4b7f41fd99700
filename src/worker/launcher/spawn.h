#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/launcher/cgroup_pool.h"
#include "worker/launcher/handover_fds.h"
#include "worker/launcher/journal_record.h"
#include "worker/launcher/scratch_folders.h"
#include "worker/unique_fd.h"

namespace clusterd {

class PipeKeeper;

// What a child gets back that the launcher changed for itself.
struct ChildBaseline {
  std::string boot_id;
  std::string oom_score_adj;  // empty: the launcher's own was not changed
  rlimit open_files{};
  std::vector<int> ignored_signals;
};

// One attempt to start.
struct SpawnOrder {
  uint64_t handle = 0;
  internal::LaunchPlan plan;
  internal::JournalIntent intent;
  int journal_fd = -1;                  // stays open until the result is there
  std::atomic<pid_t>* child = nullptr;  // told who the child is before it is its user's
  ScratchFolders* scratch = nullptr;    // outlives the result
  PipeKeeper* keeper = nullptr;         // the same; null: the worker gets the FIFOs afterwards
};

// A FIFO of an attempt: what the launcher reads from.
struct OutputPipe {
  v1::OutputStream::Stream stream = v1::OutputStream::STREAM_UNSPECIFIED;
  UniqueFd fd;
  std::string path;
};

// What became of an order.
struct SpawnResult {
  uint64_t handle = 0;
  absl::Status status;  // not OK: it did not start, and why in words
  bool in_journal = false;
  JournalSpawned spawned;
  UniqueFd pidfd;
  std::vector<OutputPipe> pipes;
  uint64_t pipes_kept = 0;            // by PipeKeeper::keep()
  std::unique_ptr<JobCgroup> cgroup;  // null: it has none
};

// Path of the FIFO of one stream.
[[nodiscard]] std::string fifo_path(const internal::JournalIntent& intent,
                                    v1::OutputStream::Stream stream);
// The streams that an attempt has.
[[nodiscard]] std::vector<v1::OutputStream::Stream> streams_of(
    const internal::JournalIntent& intent);
// Opens a FIFO for launcher and job: for both directions, so that it never blocks here and never
// shows a hang-up while a job has closed its own end. The job waits where it is full; the launcher
// says at each call that it does not (SPLICE_F_NONBLOCK).
[[nodiscard]] absl::StatusOr<UniqueFd> open_fifo(const std::string& path);

// The same for one of an earlier launcher. `was_lost` is set where nobody had it open: what was
// in it went with its last reader.
[[nodiscard]] absl::StatusOr<UniqueFd> reopen_fifo(const std::string& path, bool* was_lost);

// Takes a cgroup, writes INTENT, makes scratch folder, FIFOs and input, starts the process. Blocks
// in vfork and execve: on spawn threads only. Where it fails, the cgroup goes back.
[[nodiscard]] SpawnResult spawn(SpawnOrder order, const ChildBaseline& baseline,
                                CgroupPool& cgroups, HandoverFds& handover);

}  // namespace clusterd
