#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/commands.h"

namespace clusterd {

// A scheduler and a worker on loopback, and the folder with all that they keep.
//
// Owned by a run_x(); one thread. Signals are blocked from `begin` on and read from a descriptor,
// so nothing interrupts the clean-up. Ends with `end`, which leaves nothing behind.
class LocalCluster {
 public:
  // `command` must outlive it; `start` is what reads it. `name` is a part of the folder's.
  LocalCluster(const DevCommand& command, std::string name)
      : command_(command), name_(std::move(name)) {}
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  [[nodiscard]] absl::Status begin();
  // Returns when both daemons can be used. CANCELLED: a signal came first.
  [[nodiscard]] absl::Status start();
  // OK when the descriptor `done` is readable. CANCELLED: a signal came. INTERNAL: a daemon ended
  // by itself.
  [[nodiscard]] absl::Status wait_for(int done);
  // Returns when a signal came (OK) or a daemon ended by itself.
  [[nodiscard]] absl::Status wait_for_signal();
  void end();

  // Its own after `begin`, mode 0700, and removed by `end`.
  [[nodiscard]] const std::string& folder() const { return folder_; }
  // host:port, once it has started.
  [[nodiscard]] const std::string& http_addr() const { return http_addr_; }
  [[nodiscard]] const std::string& grpc_addr() const { return grpc_addr_; }

 private:
  [[nodiscard]] std::string runtime_dir() const;
  absl::Status start_daemon(pid_t& pid, const std::string& name, const std::string& config);
  absl::StatusOr<std::string> wait_for_port_file(const std::string& name);
  absl::Status wait_for_worker();
  // OK: nothing happened within `timeout`, or something in the folder did, or `done` is readable.
  absl::Status wait_for_event(std::chrono::milliseconds timeout, int done = -1);
  absl::Status look_after_children();
  void stop_daemon(pid_t& pid, std::chrono::seconds timeout);
  void wait_for_orphans();

  const DevCommand& command_;
  const std::string name_;
  std::string folder_;
  std::string runtime_folder_;  // in memory; empty: there was no room for one
  std::string http_addr_;
  std::string grpc_addr_;
  int signals_ = -1;
  int folder_events_ = -1;
  pid_t scheduler_ = 0;
  pid_t worker_ = 0;
};

}  // namespace clusterd
