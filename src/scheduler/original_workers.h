#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "core/clock.h"
#include "core/config.h"
#include "scheduler/decision.h"
#include "scheduler/original_worker.h"
#include "scheduler/worker_link.h"

namespace clusterd {

class OriginalWorkerLink;
class OriginalWorkers;
class Term;

// Makes the link to a worker of one of the two earlier systems; what the scheduler orders over it
// goes to `owner`, which outlives it, in the name of `worker_id`.
using OriginalLinkMaker = std::function<std::shared_ptr<OriginalWorkerLink>(
    const v1::Worker& worker, OriginalWorkers& owner)>;

// The members that speak other protocols: performs what each OriginalWorker decides.
//
// Owned by Term, and ends with it; core thread only. Whatever leads back into the term is posted,
// so that nothing here changes while it is being worked on.
class OriginalWorkers {
 public:
  struct Surroundings {
    const Clock& clock;
    std::function<void(absl::AnyInvocable<void()>)> post;  // to the core thread, during this term
    std::function<uint64_t()> next_id;
    OriginalLinkMaker make_link;  // null: there are no such workers
  };

  // `term` owns this.
  OriginalWorkers(const SchedulerConfig& config, Term& term, Surroundings around);
  ~OriginalWorkers();
  OriginalWorkers(const OriginalWorkers&) = delete;
  OriginalWorkers& operator=(const OriginalWorkers&) = delete;

  void admit(AdmitOriginal admission);
  void dismiss(const std::string& worker_id);
  void release(const std::string& worker_id, const v1::AttemptKey& key);
  // Null where the worker is none of these.
  [[nodiscard]] std::shared_ptr<WorkerLink> link_of(const std::string& worker_id) const;

  // ---- what comes over the links
  void identify(const std::string& worker_id, WorkerLink::Done<v1::WorkerIdentity> done);
  void start(const std::string& worker_id, const v1::StartJobsRequest& request,
             WorkerLink::Done<v1::StartJobsResponse> done);
  void stop(const std::string& worker_id, const v1::StopJobsRequest& request,
            WorkerLink::Done<v1::StopJobsResponse> done);

  // A heartbeat of a go-work member. NOT_FOUND: it is none.
  absl::Status heard(const std::string& worker_id, OriginalStatus status);
  // As OriginalWorker::member_status; empty: the worker is none of these.
  [[nodiscard]] std::string member_status(const std::string& worker_id) const;

  // Handles what is due; the next deadline.
  std::optional<BootTime> turn();

 private:
  using Order =
      std::variant<WorkerLink::Done<v1::StartJobsResponse>, WorkerLink::Done<v1::StopJobsResponse>>;
  struct Member {
    std::unique_ptr<OriginalWorker> worker;
    std::shared_ptr<OriginalWorkerLink> link;  // shared with readers of output
    StreamId stream = 0;                       // 0: none
    std::map<uint64_t, Order> orders;
    std::optional<BootTime> due;
  };

  [[nodiscard]] Member* find(const std::string& worker_id);
  // Performs what the member has decided, and notes when it wants to be called.
  void run(const std::string& worker_id, Member& member);
  void make_call(const std::string& worker_id, const Member& member, OriginalCall call);
  void perform(const std::string& worker_id, OriginalEffect effect);
  void open_session(const std::string& worker_id, Member& member, const v1::SessionHello& hello);
  void answer(Member& member, AnswerOrder answer);

  const SchedulerConfig& config_;
  Term& term_;
  const Surroundings around_;
  std::map<std::string, Member> members_;
  std::set<std::pair<BootTime, std::string>> due_;
  uint64_t last_order_ = 0;
};

}  // namespace clusterd
