#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <atomic>
#include <csignal>

#include "worker/launcher/child_user.h"
#include "worker/launcher/journal_record.h"

namespace clusterd {

// Where a job finds the sealed copy of its script.
inline constexpr int kSealedScriptFd = 3;
inline constexpr char kSealedScriptPath[] = "/proc/self/fd/3";

// All that the child needs between vfork and execve, made before: there it may neither allocate
// nor lock.
struct ChildPlan {
  const char* executable = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* working_folder = nullptr;
  int input = -1;
  const char* input_file = nullptr;  // instead of `input`
  int output = -1;
  int error = -1;
  int journal = -1;
  int64_t before_start_ns = 0;          // CLOCK_BOOTTIME, just before the child is made
  std::atomic<pid_t>* child = nullptr;  // null: nobody wants to know
  ChildUser user;
  uid_t service_user = 0;
  const char* script = nullptr;  // null: none that must still be trusted
  bool script_is_read = false;
  const char* scratch = nullptr;  // null: none that the user must be able to reach
  int sealed_script = -1;         // handed over as kSealedScriptFd; −1: none
  const mode_t* umask = nullptr;  // null: leave it, as the next
  const char* oom_score_adj = nullptr;
  rlimit open_files{};
  const rlimit* core = nullptr;  // null: leave it, as the next
  const int* nice = nullptr;
  int cgroup = -1;                       // to be cloned into; −1: none
  int end_of_files = 0;                  // all descriptors that it needs are below
  const int* doors = nullptr;            // files of cgroups to enter; ends with −1
  const int* ignored_signals = nullptr;  // ends with 0
  FixedRecord<JournalSpawned>* spawned = nullptr;
  FixedRecord<JournalSpawnFailed>* failed = nullptr;  // body.error tells the parent
};

// vfork(2) and execve(2). Returns the child's pid when its program runs or the child has given up,
// which failed->body.error != 0 shows; the child is then still to be waited for. -1: no child,
// errno is set. All signals must be blocked.
[[nodiscard]] pid_t vfork_child(ChildPlan& plan);

}  // namespace clusterd
