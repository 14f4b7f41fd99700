#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "clusterd/worker.h"
#include "core/clock.h"
#include "worker/held_attempt.h"
#include "worker/launcher/journal.h"
#include "worker/library/crash_note.h"
#include "worker/library/handler_run.h"
#include "worker/library/handler_threads.h"
#include "worker/process_launcher.h"

namespace clusterd {

// The launcher of a worker that is a program: runs attempts as calls of handlers, on threads of
// this process, and keeps the same journal as the launcher of processes does, in
// `<data_dir>/launcher`. What was running when an earlier process died has ended with
// EXIT_STATUS_UNKNOWN, or SIGNALED where it was what crashed; what had not begun was never started.
//
// Timeouts, stops and the fence are requests to the handler. A fence is a promise to the scheduler,
// so that a handler which does not return from it takes the process with it.
//
// Owned by Worker. Has a mutex (see docs/architecture.md#threads): handlers end on their own
// threads. The destructor asks all handlers to return and waits for them.
class HandlerLauncher final : public ProcessLauncher {
 public:
  struct Offer {
    Handler run;
    uint32_t max_concurrent = 0;
  };
  struct Options {
    std::string data_dir;  // absolute; its lock is held
    std::string boot_id;
    std::map<std::string, Offer> handlers;
    uint32_t max_running = 1;  // of all handlers together
    bool ends_stuck_process = false;
  };
  using ProgressObserver = std::function<void(const v1::AttemptKey&, v1::Progress)>;

  // `clock` outlives this.
  HandlerLauncher(Options options, const Clock& clock, LauncherObserver observer,
                  ProgressObserver on_progress);
  ~HandlerLauncher() override;
  HandlerLauncher(const HandlerLauncher&) = delete;
  HandlerLauncher& operator=(const HandlerLauncher&) = delete;

  // Reads the journal and tells the observer what is held. An error: it cannot be read or written.
  [[nodiscard]] absl::Status start();

  // Takes plans of check_handler_start().
  void send(internal::ToLauncher message) override;

 private:
  using Run = JobContext::Run;
  using RunPtr = std::shared_ptr<Run>;  // shared by this and the thread that runs it

  // All of these under the lock.
  // `crashes`: the signals that brought the earlier process down, by handle.
  void recover(const JournalContent& content, const std::map<uint64_t, int>& crashes);
  void launch(internal::ToLauncher& message);
  [[nodiscard]] RunPtr make_run(internal::LaunchPlan plan);
  void fail_start(const RunPtr& run, const absl::Status& why);
  void begin_waiting();
  // What may run now; it counts as running.
  [[nodiscard]] std::vector<RunPtr> take_waiting();
  void give_place_back(const Run& run);
  // False: some could not be begun, which leaves room for others.
  [[nodiscard]] bool begin(const std::vector<RunPtr>& runs);
  void ask_to_end(Run& run, internal::JournalState::Ending why, std::chrono::nanoseconds patience);
  void stop(const v1::AttemptKey& key);
  void fence(const v1::AttemptKey& key);
  void forget(const internal::ToLauncher& message);
  void end(const RunPtr& run, v1::JobEnd end);
  void compact_if_due();
  void write(JournalType type, std::string_view body);
  void look(BootTime now);
  void tell_news(Run& run, BootTime now);
  [[nodiscard]] std::optional<BootTime> next_look() const;
  [[nodiscard]] std::optional<BootTime> next_look_at(const Run& run) const;
  [[nodiscard]] internal::LaunchedAttempt describe(Run& run) const;
  [[nodiscard]] v1::JobEnd make_end(Run& run, const absl::Status& result) const;
  [[nodiscard]] RunObserver observer_of(const AttemptId& id);

  void run_handler(const RunPtr& run);  // a thread of threads_
  void watch();                         // the thread that looks after time

  const Options options_;
  const Clock& clock_;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  LauncherObserver observer_;
  ProgressObserver on_progress_;
  std::optional<Journal> journal_;
  std::optional<CrashNotes> crashes_;
  absl::flat_hash_map<AttemptId, RunPtr> runs_;
  std::deque<RunPtr> waiting_;  // accepted, and not begun yet
  std::map<std::string, uint32_t> running_by_handler_;
  uint32_t running_ = 0;
  uint64_t next_handle_ = 1;
  size_t forgotten_ = 0;  // since the journal was written anew
  BootTime contact_;
  std::optional<BootTime> news_at_;            // output that grew is told then
  std::optional<BootTime> progress_at_;        // and how far jobs are
  BootTime watch_wakes_at_ = BootTime::min();  // min: it is awake; max: when it is told to
  bool closing_ = false;

  HandlerThreads threads_;
  std::thread watch_;
};

}  // namespace clusterd
