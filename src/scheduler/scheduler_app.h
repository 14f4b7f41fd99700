#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/event_loop.h"
#include "scheduler/election.h"
#include "scheduler/term.h"
#include "store/store.h"

namespace clusterd {

// The scheduler behind its services: the core thread, the threads that read the store, and the
// current term of office.
//
// Every public function may be called from any thread and returns at once. Owned by
// run_scheduler(); stop() answers all that still waits.
class SchedulerApp {
 public:
  // Begins the first term in the background; with an `election`, a term each time this one leads.
  // All arguments outlive this. `make_original_link` is for workers of other protocols. Once the
  // election has been entered, stop() must be called.
  SchedulerApp(const SchedulerConfig& config, const Clock& clock, Store& store,
               WorkerLinkMaker make_link, OriginalLinkMaker make_original_link = nullptr,
               Election* election = nullptr);
  ~SchedulerApp();
  SchedulerApp(const SchedulerApp&) = delete;
  SchedulerApp& operator=(const SchedulerApp&) = delete;

  // Lets the scheduler decide on a call. `done` is called exactly once, on the core thread;
  // UNAVAILABLE while no term is in office. The id is for abandon().
  CallId call(Term::Done done, Term::Decide decide);
  // The same with an id from next_id(), for callers that may be gone when this returns.
  void call(CallId id, Term::Done done, Term::Decide decide);
  void abandon(CallId call);

  // Runs `task` where reading the store may block.
  void read(absl::AnyInvocable<void()> task);
  // Runs `task` on the core thread with the term, null where none is in office.
  void with_term(absl::AnyInvocable<void(Term*)> task);

  // Names a call or a stream.
  [[nodiscard]] uint64_t next_id() { return next_id_++; }
  [[nodiscard]] Store& store() { return store_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] const SchedulerConfig& config() const { return config_; }
  [[nodiscard]] SchedulerMetrics& metrics() { return metrics_; }

  // RESOURCE_EXHAUSTED below the low-water mark of free space: what is left is for the ends of
  // the jobs that run.
  [[nodiscard]] absl::Status check_disk();

  // What has just been read of the store is the present: a term is in office, surely. Else
  // UNAVAILABLE. Any thread.
  [[nodiscard]] absl::Status check_office() const;

  // While a term is in office, or another scheduler leads: who does, its epoch, and the schedulers
  // that follow, a line each; else why not.
  [[nodiscard]] absl::StatusOr<std::string> readiness() const;

  // With an election: what has come of it. Each change, in order.
  void stand(const Standing& standing);
  // All schedulers that are there: this one, where there is no election.
  [[nodiscard]] std::vector<v1::SchedulerMember> members() const;

  // Where its services are reached, host:port; empty before they listen.
  void set_addresses(std::string address, std::string http_address);
  [[nodiscard]] v1::SchedulerMember self() const { return *self_.load(); }

  // Blocks until the store has been loaded, or could not be, for the first time; with an election,
  // until that or until it is known that this one does not lead. Not from a thread of the app's.
  void wait_for_first_load() { first_load_.wait(); }

  // Ends the term: every call is answered, every session closed, later calls are UNAVAILABLE.
  void retire();
  // Ends the threads. Nothing may be called afterwards.
  void stop();

 private:
  // Who answers calls.
  struct Leader {
    std::string address;  // empty: this one
    uint64_t epoch = 0;
  };

  // What the core thread does after each batch of tasks; the next deadline.
  std::optional<BootTime> turn();
  void load();
  void leave_office();
  void try_again(BootTime at);
  void begin_term(absl::StatusOr<StoreContents> contents);
  void end_term(const absl::Status& why);
  void on_standing(const Standing& standing);
  // Ends the term where it may not be ours any more.
  void check_lease();
  void set_fault(std::string_view fault);
  void set_ready(Leader leader);
  [[nodiscard]] bool may_load() const;

  const SchedulerConfig& config_;
  const Clock& clock_;
  Store& store_;
  WorkerLinkMaker make_link_;
  OriginalLinkMaker make_original_link_;
  Election* const election_;  // null: the store is this one's alone
  SchedulerMetrics metrics_;
  std::atomic<uint64_t> next_id_ = 1;
  std::atomic<uint64_t> in_office_ = 0;  // the number of the term; 0: none
  // Shared by readiness() callers and the core thread.
  std::atomic<std::shared_ptr<const absl::StatusOr<Leader>>> leader_;
  std::atomic<std::shared_ptr<const v1::SchedulerMember>> self_ =
      std::make_shared<const v1::SchedulerMember>();
  std::latch first_load_{1};
  boost::asio::thread_pool readers_;
  boost::asio::thread_pool loader_;  // one: a term does not begin behind reads of another one

  // Core thread only.
  std::unique_ptr<Term> term_;
  uint64_t terms_ = 0;  // tells one term's tasks from another's
  std::optional<BootTime> retry_load_;
  Standing::Kind standing_ = Standing::Kind::kAlone;  // with an election
  uint64_t standings_ = 0;                            // tells what was loaded before a change
  bool is_loading_ = false;
  bool stopping_ = false;

  // Shared with the answers of workers that are still to come when all else has ended: posted then,
  // they are dropped. Last: it ends first.
  std::shared_ptr<EventLoop> loop_;
};

}  // namespace clusterd
