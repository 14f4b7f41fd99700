#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>

#include "worker/launcher/journal_record.h"

namespace clusterd {

// All that the child needs between vfork and execve, made before: there it may neither allocate
// nor lock.
struct ChildPlan {
  const char* executable = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* working_folder = nullptr;
  int input = -1;
  int output = -1;
  int error = -1;
  int journal = -1;
  const char* oom_score_adj = nullptr;  // null: leave it
  rlimit open_files{};
  const int* ignored_signals = nullptr;  // ends with 0
  FixedRecord<JournalSpawned>* spawned = nullptr;
  FixedRecord<JournalSpawnFailed>* failed = nullptr;  // body.error tells the parent
};

// vfork(2) and execve(2). Returns the child's pid when its program runs or the child has given up,
// which failed->body.error != 0 shows; the child is then still to be waited for. -1: no child,
// errno is set. All signals must be blocked.
[[nodiscard]] pid_t vfork_child(ChildPlan& plan);

}  // namespace clusterd
