#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clusterd/internal/launcher.pb.h"
#include "worker/inheritance.h"
#include "worker/unique_fd.h"

namespace clusterd {

// What the worker keeps of running attempts so that they survive a launcher: the read ends of their
// FIFOs, the status of those that fell to this process and ended, and a pidfd of each main process
// that fell to it, or would not: that of a launcher which is no child of this process.
//
// Owned by the launcher connection; its thread only.
class JobProcesses {
 public:
  // `epoll` gets the pidfds of those that fall to this process, each with its own number as data.
  explicit JobProcesses(int epoll) : epoll_(epoll) {}

  // The launcher that we are connected to has started it.
  void on_started(const internal::LaunchedAttempt& attempt);
  // What came beside a message; the pids of its attempts must be known.
  void on_descriptors(const internal::FromLauncher& message, std::vector<UniqueFd> descriptors);
  // FIFOs of an attempt that is being started, and may never be known to have.
  void on_early_fifos(const internal::FromLauncher& message, std::vector<UniqueFd> descriptors);
  void on_ended(const v1::AttemptKey& key);
  // What another launcher holds: all else is over.
  void on_hello(const internal::LauncherHello& hello);

  // A pidfd is readable. True if it was one of these.
  bool on_readable(int fd);
  // The launcher is gone: from now on its children may be ours.
  void on_launcher_lost();
  // How often sweep() is to be called; absent: nothing can have fallen to us.
  [[nodiscard]] std::optional<std::chrono::milliseconds> sweep_interval() const;
  // Reaps what has fallen to us and ended. `launcher`: our child that is not to be reaped, or 0.
  // `knows_all`: a launcher has said what it holds, so that other children than those are only
  // remains of jobs.
  void sweep(pid_t launcher, bool knows_all);

  // What an earlier executable of this process held, and what is left to a later one.
  void inherit(Inherited& inherited);
  void bequeath(KeptDescriptors* kept, internal::Inheritance* inheritance) const;

  // Statuses seen since the last call.
  [[nodiscard]] std::vector<internal::ReapedChild> take_reaped();
  // For the first message to a launcher: every status that is still of use, and the pidfds, in
  // messages of at most kMaxDescriptors.
  struct Part {
    internal::ToLauncher message;
    std::vector<int> descriptors;
  };
  [[nodiscard]] std::vector<Part> describe_all() const;

 private:
  using Key = std::pair<std::string, uint32_t>;
  struct Held {
    v1::AttemptKey key;
    pid_t pid = 0;
    UniqueFd pidfd;
    std::vector<UniqueFd> fifos;
    bool is_orphan = false;
    bool was_reaped = false;
  };

  Held& hold(const internal::LaunchedAttempt& attempt);
  // It is our child now, or will be once the launcher is gone.
  void adopt(Held& held);
  void watch(const Held& held);
  void reap(Held& held);
  void reap_remains(pid_t launcher, bool knows_all);
  void release(Held& held);

  int epoll_;
  bool was_orphaned_ = false;  // at any time
  std::map<Key, Held> held_;
  std::map<Key, std::vector<UniqueFd>> early_fifos_;  // of attempts that nobody has told of yet
  std::map<Key, internal::ReapedChild> statuses_;     // until their attempts have ended
  std::vector<internal::ReapedChild> reaped_;
};

}  // namespace clusterd
