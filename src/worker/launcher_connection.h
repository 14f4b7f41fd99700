#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/config.h"
#include "worker/inheritance.h"
#include "worker/process_launcher.h"
#include "worker/runtime_dir.h"

namespace clusterd {

// Where a worker finds its launcher, and how it starts one.
struct LauncherOptions {
  std::string executable;  // absolute; run as `executable launcher --data-dir … --runtime-dir …`
  std::string data_dir;    // absolute; journal and output
  std::string runtime_dir;       // absolute; from choose_runtime_dir
  uint64_t open_files = 0;       // soft limit that it and the jobs inherit; 0: this process's
  std::string cgroups = "auto";  // which it uses: "auto", "v1" (of version 1 only), "off"
  // Absolute; of the scratch folders that go with their attempts; or empty.
  std::string scratch_dir;
  std::string cgroup_parent;  // limits.cgroup_parent
  LogConfig log;              // how it writes its own log, until it is told otherwise
};

// The worker's way to the launcher of its data_dir: reaches the running one or starts one, and does
// so again whenever it dies.
//
// Holds the read ends of the FIFOs of every running attempt, and reaps the main processes that fall
// to this process when the launcher dies, so that neither status nor output is lost with it; of a
// launcher that is not its child it holds pidfds of theirs. After FAILED_PRECONDITION in
// on_disconnected a newer worker process serves this data_dir and no further connection is tried.
//
// Owned by the worker's app object. One thread of its own, on which the observer is called. The
// destructor closes the connection and joins; launcher and jobs go on.
class LauncherConnection final : public ProcessLauncher {
 public:
  // `clock` outlives this; `inherited` is what an earlier executable of this process has left.
  LauncherConnection(LauncherOptions options, const Clock& clock, LauncherObserver observer,
                     Inherited inherited = {});
  ~LauncherConnection() override;
  LauncherConnection(const LauncherConnection&) = delete;
  LauncherConnection& operator=(const LauncherConnection&) = delete;

  // Makes this process a subreaper and begins to connect; the result comes to the observer. Once,
  // before any other thread starts children. An error: the kernel refuses, nothing was started.
  [[nodiscard]] absl::Status start();

  // An end that arrives for an attempt that its receiver does not know is to be answered with
  // `forget` all the same: a stop that came before its launch leaves such an end.
  void send(internal::ToLauncher message) override;

  // Closes the connection and says what the next executable of this process is to go on with;
  // `kept` keeps its descriptors open. Last of all, while this is still there.
  void bequeath(KeptDescriptors* kept, internal::Inheritance* inheritance);

 private:
  class Runner;
  std::unique_ptr<Runner> runner_;
};

}  // namespace clusterd
