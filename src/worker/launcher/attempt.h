#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "worker/launcher/archive_process.h"
#include "worker/launcher/journal.h"
#include "worker/launcher/process_tree.h"
#include "worker/launcher/spawn.h"

namespace clusterd {

// An attempt as the supervisor holds it. Control thread only.
struct Attempt {
  enum class Phase {
    kStarting,   // waits for a spawn thread, or is on one
    kRunning,    // its main process runs, or how it ended is not known yet
    kClearing,   // the main process has ended, others of its tree are being ended
    kDraining,   // nothing is left of it; the output pump takes the rest
    kArchiving,  // its archive command runs
    kEnded,      // until it is forgotten
  };

  JournalAttempt record;
  Phase phase = Phase::kStarting;
  bool own_child = false;          // we reap its main process
  bool stop_when_started = false;  // a stop came while it was being spawned
  bool fence_when_started = false;
  bool killing = false;      // KILL has been sent and is sent again until nothing is left
  bool own_archive = false;  // we reap its archive command
  bool archive_killed = false;
  int resolve_tries = 0;
  std::optional<int> status_from_outside;  // of a main process that another reaps
  UniqueFd pidfd;
  std::unique_ptr<JobCgroup> cgroup;  // null: it has none
  ProcessTree tree;                   // looks at the cgroup
  std::map<pid_t, UniqueFd> watched;  // members of the tree that are to end
  std::vector<std::pair<v1::OutputStream::Stream, int>> fifos;  // until nothing is left of it
  std::vector<OutputPipe> silent;  // the same while nothing was written; then the pump has them
  uint64_t pipes_kept = 0;         // by PipeKeeper::keep()
  std::vector<v1::OutputStream> outputs;  // lengths as last told
  uint64_t lost_before = 0;               // bytes that an earlier launcher's pump could not keep
  ArchiveProcess archive;
  std::optional<BootTime> look_again;  // at its tree, or for a status
  std::optional<BootTime> timer;       // as it stands in the timer set

  [[nodiscard]] uint64_t handle() const { return record.intent.handle(); }
  [[nodiscard]] const v1::AttemptKey& key() const { return record.intent.key(); }
  [[nodiscard]] pid_t pid() const {
    return record.spawned ? static_cast<pid_t>(record.spawned->pid) : 0;
  }
  // A process of it may be running: its own or its archive command's.
  [[nodiscard]] bool has_process() const {
    return phase == Phase::kRunning || (phase == Phase::kArchiving && archive.pid != 0);
  }
  [[nodiscard]] bool waits_for_archive() const {
    return phase == Phase::kArchiving && archive.pid != 0 && !own_archive;
  }
  [[nodiscard]] bool is_being_ended() const {
    return record.state.ending() != internal::JournalState::ENDING_UNSPECIFIED;
  }
};

}  // namespace clusterd
