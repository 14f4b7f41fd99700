#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "worker/launcher/journal.h"
#include "worker/launcher/process_tree.h"
#include "worker/launcher/spawn.h"

namespace clusterd {

// An attempt as the supervisor holds it. Control thread only.
struct Attempt {
  enum class Phase {
    kStarting,  // waits for a spawn thread, or is on one
    kRunning,   // its main process runs, or how it ended is not known yet
    kClearing,  // the main process has ended, others of its tree are being ended
    kDraining,  // nothing is left of it; the output pump takes the rest
    kEnded,     // until it is forgotten
  };

  JournalAttempt record;
  Phase phase = Phase::kStarting;
  bool own_child = false;          // we reap its main process
  bool stop_when_started = false;  // a stop came while it was being spawned
  bool fence_when_started = false;
  bool killing = false;      // KILL has been sent and is sent again until nothing is left
  bool main_killed = false;  // KILL was needed for the main process
  int resolve_tries = 0;
  UniqueFd pidfd;
  ProcessTree tree;
  std::map<pid_t, UniqueFd> watched;  // members of the tree that are to end
  std::vector<std::pair<v1::OutputStream::Stream, int>> fifos;  // the pump's, until it finishes
  std::vector<v1::OutputStream> outputs;                        // lengths as last told
  std::optional<BootTime> look_again;                           // at its tree, or for its status
  std::optional<BootTime> timer;                                // as it stands in the timer set

  [[nodiscard]] uint64_t handle() const { return record.intent.handle(); }
  [[nodiscard]] const v1::AttemptKey& key() const { return record.intent.key(); }
  [[nodiscard]] pid_t pid() const {
    return record.spawned ? static_cast<pid_t>(record.spawned->pid) : 0;
  }
  [[nodiscard]] bool is_being_ended() const {
    return record.state.ending() != internal::JournalState::ENDING_UNSPECIFIED;
  }
};

}  // namespace clusterd
