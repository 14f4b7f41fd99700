#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/config.h"
#include "core/event_loop.h"
#include "scheduler/decision.h"
#include "scheduler/job_lines.h"
#include "scheduler/original_workers.h"
#include "scheduler/scheduler.h"
#include "scheduler/worker_link.h"
#include "store/store_thread.h"

namespace clusterd {

// The near end of a worker's Session stream. Called on the core thread.
struct SessionPort {
  absl::AnyInvocable<void(v1::SessionResponse)> send;
  absl::AnyInvocable<void(absl::Status)> close;
};

// What a term of office works with. All outlive it.
struct TermSurroundings {
  const Clock& clock;
  Store& store;
  SchedulerMetrics& metrics;
  WorkerLinkMaker make_link;
  OriginalLinkMaker make_original_link;  // null: no workers of other protocols
  std::function<uint64_t()> next_id;     // of streams
  // Runs a task on the core thread, if this term is still in office then.
  std::function<void(absl::AnyInvocable<void()>)> post;
  // Runs a task that reads the store, on another thread.
  std::function<void(absl::AnyInvocable<void()>)> read;
  // A commit failed: this term must be ended. Called on the core thread.
  std::function<void(absl::Status)> on_failure;
};

// One term of office: performs what the Scheduler decides: persist, then act, then reply.
//
// Made after the store has been loaded, ended by a failed commit or at the end of the process.
// Owned by SchedulerApp; core thread only. Its end answers every call with UNAVAILABLE and closes
// every session.
class Term {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<Answer>)>;
  using Decide = absl::AnyInvocable<Decision(Scheduler&, CallId, Now)>;

  Term(const SchedulerConfig& config, StoreContents contents, TermSurroundings surroundings);
  ~Term();
  Term(const Term&) = delete;
  Term& operator=(const Term&) = delete;

  // Lets the scheduler decide on a call; `done` is called exactly once.
  void call(CallId call, Done done, Decide decide);
  // The caller is gone; `done` is called with CANCELLED.
  void abandon(CallId call);

  // A Session stream opened with this hello.
  void open_session(StreamId stream, SessionPort port, const v1::SessionHello& hello);
  void session_message(StreamId stream, const v1::SessionRequest& message);
  void session_closed(StreamId stream);

  // The same for a worker that speaks another protocol; OriginalWorkers speaks for it.
  void open_original_session(StreamId stream, SessionPort port, const v1::SessionHello& hello);
  void original_gone(const std::string& worker_id, const std::string& reason);

  // Sends the batches that this turn filled and handles deadlines; returns the next one.
  std::optional<BootTime> turn();

  // Calls `done` once an event after number `since` is durable; a number above all that are known
  // is OUT_OF_RANGE. UNAVAILABLE at the end of the term, CANCELLED by abandon().
  void wait_for_event(CallId call, uint64_t since, absl::AnyInvocable<void(absl::Status)> done);
  // Number of the newest event that is durable.
  [[nodiscard]] uint64_t durable_event() const { return durable_event_; }

  // Null where the worker has none.
  [[nodiscard]] std::shared_ptr<WorkerLink> link_of(const std::string& worker_id) const;
  [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
  [[nodiscard]] OriginalWorkers& originals() { return originals_; }

 private:
  using Orders = std::map<std::pair<std::string, uint64_t>, std::vector<v1::StartAttempt>>;
  using Stops = std::map<std::pair<std::string, uint64_t>, std::vector<v1::AttemptKey>>;

  void apply(Decision decision);
  [[nodiscard]] std::vector<JobLine> lines_of(const std::vector<v1::Event>& events);
  void committed(uint64_t number, const absl::Status& status);
  void perform(std::vector<Effect> effects);
  void perform(Reply effect);
  void perform(LookUp effect);
  void perform(FindExpired effect);
  void perform(FindMatching effect);
  void perform(SendDoomed effect);
  void perform(Dispatch effect);
  void perform(StopAttempt effect);
  void perform(SignalAttempt effect);
  void perform(CallBack effect);
  void perform(ForgetLink effect) { links_.erase(effect.worker_id); }
  void perform(SendDown effect);
  void perform(CloseStream effect);
  void perform(AdmitOriginal effect);
  void perform(DismissOriginal effect);
  void perform(ReleaseOriginal effect);
  void send_starts();
  void send_stops();
  void signal_answered(const SignalAttempt& effect, const absl::Status& status);
  void ring();

  TermSurroundings around_;
  Scheduler scheduler_;
  uint64_t durable_ = 0;
  uint64_t durable_event_ = 0;
  struct Events {
    uint64_t commit = 0;
    uint64_t newest = 0;         // number of the last one in it
    std::vector<JobLine> lines;  // where such are logged
  };
  std::deque<Events> events_;
  uint64_t newest_job_ = 0;  // of which an event was seen
  std::map<CallId, absl::AnyInvocable<void(absl::Status)>> event_waiters_;
  std::deque<std::pair<uint64_t, std::vector<Effect>>> held_;  // by the commit they wait for
  std::map<CallId, Done> calls_;
  std::map<StreamId, SessionPort> sessions_;
  OriginalWorkers originals_;
  // Shared with the calls and streams in flight over them.
  std::unordered_map<std::string, std::shared_ptr<WorkerLink>> links_;
  Orders starts_;
  Stops stops_;
  StoreThread store_thread_;  // last: it ends first
};

}  // namespace clusterd
