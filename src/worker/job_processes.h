#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "clusterd/internal/launcher.pb.h"
#include "worker/unique_fd.h"

namespace clusterd {

// What the worker keeps of running attempts so that they survive a launcher: a pidfd of each main
// process, the read ends of its FIFOs, and the status of those that fell to this process and ended.
//
// Owned by the launcher connection; its thread only.
class JobProcesses {
 public:
  // `epoll` gets the pidfds, each with its own number as data.
  explicit JobProcesses(int epoll) : epoll_(epoll) {}

  void on_started(const internal::LaunchedAttempt& attempt);
  // What came beside a message; the pids of its attempts must be known.
  void on_descriptors(const internal::FromLauncher& message, std::vector<UniqueFd> descriptors);
  void on_ended(const v1::AttemptKey& key);
  // What another launcher holds: all else is over.
  void on_hello(const internal::LauncherHello& hello);

  // A pidfd is readable. True if it was one of these.
  bool on_readable(int fd);
  // The launcher is gone: from now on its children may be ours.
  void on_launcher_lost();
  // True while some may have fallen to us, so that sweep() is to be called now and then.
  [[nodiscard]] bool has_orphans() const;
  // Reaps what has fallen to us and ended: main processes and members of their sessions.
  void sweep();

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

  void reap(Held& held);
  void reap_session_members();
  void release(Held& held);

  int epoll_;
  std::map<Key, Held> held_;
  std::map<Key, internal::ReapedChild> statuses_;  // until their attempts have ended
  std::vector<internal::ReapedChild> reaped_;
};

}  // namespace clusterd
