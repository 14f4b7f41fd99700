#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/clock.h"
#include "core/event_loop.h"
#include "core/file_watch.h"

namespace clusterd {

// Files that are read again while the daemon runs, and what reads them.
struct Reloadable {
  std::vector<std::string> files;
  // The files have changed, or an operator asks for it. Logs what is wrong with them and keeps
  // what was good.
  absl::AnyInvocable<void()> reload;
  // At every look; null: nothing to do. For what is due by itself.
  absl::AnyInvocable<void(WallTime)> look;
};

// Looks after the files that a daemon reads again without a restart: certificates, tokens. Has a
// thread of its own, on which all of Reloadable's functions are called.
//
// Owned by run_scheduler and run_worker, declared after what it reloads; ends with its destructor.
class Reloader {
 public:
  Reloader(const Clock& clock, std::vector<Reloadable> items);

  // SIGHUP: reads everything again at once. Any thread.
  void reload_now();

 private:
  struct Watched {
    Reloadable item;
    FileWatch watch;
  };
  static std::vector<Watched> watch(std::vector<Reloadable> items);
  std::optional<BootTime> turn();

  const Clock& clock_;
  std::vector<Watched> watched_;
  BootTime next_look_;
  EventLoop loop_;  // last: its thread ends before what it uses
};

}  // namespace clusterd
