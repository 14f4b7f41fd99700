#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "core/clock.h"
#include "worker/frame_socket.h"
#include "worker/inheritance.h"
#include "worker/launcher/burst.h"
#include "worker/launcher/mailbox.h"
#include "worker/launcher/poller.h"
#include "worker/launcher/supervisor.h"

namespace clusterd {

// The launcher's one control thread: waits for orders, ends of processes, news of its other threads
// and deadlines, and passes them to the supervisor.
//
// It serves one worker: a newer one that has said hello takes the place of the older. Owned by
// run_launcher, on whose thread run() works.
class ControlLoop {
 public:
  // `listener` listens on the launcher's socket; `inherited` is what an earlier executable of this
  // process has left. `clock` outlives this.
  ControlLoop(SupervisorOptions options, Journal journal, JournalContent content, UniqueFd listener,
              Inherited inherited, CompanionOptions companion, const Clock& clock);

  // Returns when no job is held and no worker has been there for 10 s, or the worker took leave;
  // with a companion, when no job is held and that has ended in order.
  // `replace` is called when this process is to become another executable, with what it leaves to
  // it; it returns where that failed, and says why.
  using Replace =
      std::function<absl::Status(const std::string& executable, internal::Inheritance inheritance)>;
  // Returns what the process is to exit with.
  int run(const Replace& replace);

 private:
  struct Peer {
    std::unique_ptr<FrameSocket> socket;
    bool wants_write = false;
  };

  // In a burst, waits a moment for more to come before the next turn.
  void gather();
  void handle(const epoll_event& event);
  void accept_peers();
  void on_peer(int fd);
  // False: the peer is to be dropped.
  [[nodiscard]] bool on_message(int fd, internal::ToLauncher message);
  void greet(int fd);
  void drop_peer(int fd);
  void tell_news();
  void on_signals();
  void start_companion_if_due();
  void on_companion_started(const CompanionStarted& started);
  void on_companion_ended();
  void replace_if_due(const Replace& replace);
  void flush(int fd);
  void set_timer();
  [[nodiscard]] bool is_done();

  const Clock& clock_;
  Poller poller_;
  Mailbox<SupervisorEvent> mailbox_;
  UniqueFd listener_;
  UniqueFd child_signal_;
  UniqueFd timer_;
  std::optional<BootTime> timer_is_for_;  // absent: it does not run
  std::map<int, Peer> peers_;
  int worker_ = -1;                    // the peer that has said hello last
  std::array<BootTime, 3> told_at_{};  // when news went to it, the last times
  std::optional<BootTime> news_due_;   // of news that are held back
  Burst burst_;                        // of starts and ends
  BootTime turn_began_;                // the last one
  bool leaving_ = false;
  BootTime alone_since_;
  Companion companion_;
  const ChildBaseline baseline_;
  Supervisor supervisor_;
};

}  // namespace clusterd
