#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/config.h"
#include "scheduler/decision.h"
#include "scheduler/job_table.h"
#include "scheduler/timer_queue.h"
#include "scheduler/worker_table.h"

namespace clusterd {

// A job to accept. The spec has passed check_job_spec().
struct SubmitOrder {
  std::string job_id;  // fresh
  v1::JobSpec spec;
  std::string submitted_by;
  std::string trace_parent;
  std::string request_key;     // caller, method and request id; empty: no request id
  std::string request_sha256;  // of the request without its id
};

// A worker that asks for membership, and what it is given if this is the first time.
struct RegisterOrder {
  v1::RegisterWorkerRequest request;  // `address` complete
  std::string presented_sha256;       // of request.secret
  std::string fresh_worker_id;
  std::string fresh_secret;
  std::string fresh_sha256;  // of fresh_secret
};

// Asks where output is.
struct OutputQuery {
  v1::StreamJobRequest request;
  bool resuming = false;  // its stream was just cut: wait for the worker's next session
  uint64_t session = 0;   // when resuming: the session in which it was cut
};

// Decides which job runs where and what becomes of it: job table, queue and members of one term
// of office.
//
// Holds no socket, thread, lock, clock or random source: events come in as calls, and what has
// to happen is returned. Owned by SchedulerApp, made anew for each term; core thread only.
class Scheduler {
 public:
  Scheduler(const SchedulerConfig::Scheduling& config, StoreContents contents, Now now);

  // --- callers; each call is answered by exactly one Reply, in this decision or a later one.
  Decision submit(CallId call, SubmitOrder order, Now now);
  Decision stop(CallId call, const v1::StopJobRequest& request, const std::string& who, Now now);
  Decision signal(CallId call, const v1::SignalJobRequest& request, int signal);
  Decision query(CallId call, const v1::QueryJobRequest& request);
  Decision wait(CallId call, const v1::WaitJobRequest& request, Now now);
  Decision locate_output(CallId call, const OutputQuery& query, Now now);
  Decision outcome_of(CallId call, const v1::AttemptKey& key, Now now);
  Decision list_workers(CallId call, const v1::ListWorkersRequest& request);
  Decision get_worker(CallId call, const v1::GetWorkerRequest& request);
  Decision get_cluster(CallId call);
  // The caller is gone: its Reply is not needed any more.
  void abandon(CallId call);

  // --- members
  Decision register_worker(CallId call, const RegisterOrder& order, Now now);
  Decision deregister_worker(CallId call, const v1::DeregisterWorkerRequest& request,
                             const std::string& presented_sha256, Now now);
  Decision session_hello(StreamId stream, const v1::SessionHello& hello,
                         const std::string& presented_sha256, Now now);
  Decision session_message(StreamId stream, const v1::SessionRequest& message, Now now);
  Decision session_closed(StreamId stream, Now now);
  Decision called_back(const std::string& worker_id, uint64_t session,
                       const absl::StatusOr<v1::WorkerIdentity>& answer, Now now);

  // --- results of effects
  Decision start_answered(const std::string& worker_id, uint64_t session,
                          const std::vector<v1::AttemptKey>& keys,
                          const absl::StatusOr<v1::StartJobsResponse>& answer, Now now);
  Decision stop_answered(const std::string& worker_id, uint64_t session,
                         const std::vector<v1::AttemptKey>& keys, const absl::Status& answer,
                         Now now);
  Decision stored_job(CallId call, const absl::StatusOr<v1::Job>& job);
  Decision first_answer(CallId call,
                        const absl::StatusOr<std::optional<internal::IdempotencyRecord>>& record,
                        Now now);
  void committed(uint64_t number);

  // --- time
  Decision tick(Now now);
  [[nodiscard]] std::optional<BootTime> next_deadline() const { return timers_.next(); }

  // Id of a worker given by id or name. NOT_FOUND names the field `worker_id`.
  [[nodiscard]] absl::StatusOr<std::string> resolve_worker(const std::string& id_or_name);
  [[nodiscard]] uint64_t epoch() const { return epoch_; }

 private:
  // A call that waits for a job to change.
  struct ParkedCall {
    enum class Kind { kJob, kFirstAnswer, kNotRunning, kEnd, kOutput, kOutcome } kind = Kind::kJob;
    std::string job_id;
    std::string worker_filter;
    uint32_t attempt = 0;
    bool follow = false;
    bool resuming = false;
    uint64_t session = 0;  // when resuming: the one to outlive
    bool expired = false;  // answer now, whatever the job's state
  };

  // The job that the first call with a key made.
  struct FirstAnswer {
    std::string request_sha256;
    std::string job_id;
    uint64_t commit = 0;
  };

  // scheduler_jobs.cc
  Decision accept(CallId call, SubmitOrder order, Now now);
  Decision repeat(CallId call, const SubmitOrder& order, const std::string& first_sha256,
                  const std::string& job_id);
  void keep_first_answer(const SubmitOrder& order, Decision& out, Now now);
  absl::StatusOr<WorkerEntry*> directed_target(const v1::JobSpec& spec);
  absl::Status check_room() const;
  // scheduler_calls.cc
  Decision ask(CallId call, ParkedCall parked);
  // The answer as the job is now; nullopt: it waits for a change.
  [[nodiscard]] std::optional<absl::StatusOr<Answer>> evaluate(const ParkedCall& parked,
                                                               const v1::Job& job);
  [[nodiscard]] std::optional<absl::StatusOr<Answer>> evaluate_output(const ParkedCall& parked,
                                                                      const v1::Job& job);
  void reconsider(LiveJob& live, Decision& out);
  void reconsider_outputs_of(const WorkerEntry& worker, Decision& out);
  void ask_again(CallId call, Decision& out);
  void expire(CallId call, Decision& out);
  [[nodiscard]] bool on_worker(const v1::Job& job, const std::string& worker_filter);
  // scheduler_attempts.cc
  // Starts what fits, where anything has changed since the last time.
  void place(Decision& out);
  void start_attempt(LiveJob& live, WorkerEntry& worker, Decision& out);
  void send_start(LiveJob& live, WorkerEntry& worker, Decision& out);
  void send_stop(LiveJob& live, WorkerEntry& worker, Decision& out);
  void order_failed(const std::vector<v1::AttemptKey>& keys, const std::string& worker_id,
                    uint64_t session, Now now);
  void resend_order(const std::string& job_id, Decision& out);
  void attempt_started(LiveJob& live, const v1::JobEvent& event, Decision& out, Now now);
  void attempt_refused(LiveJob& live, const absl::Status& refusal, Decision& out, Now now);
  void attempt_ended(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out, Now now);
  void finish(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out, Now now);
  [[nodiscard]] LiveJob* current_attempt(const v1::AttemptKey& key, const std::string& worker_id);
  // scheduler_members.cc
  void apply_events(WorkerEntry& worker, const v1::JobEvents& events, Decision& out, Now now);
  void reconcile(WorkerEntry& worker, const v1::SessionHello& hello, bool same_journal,
                 Decision& out, Now now);
  void adopt(LiveJob& live, const v1::HeldAttempt& held, Decision& out, Now now);
  void set_worker_state(WorkerEntry& worker, v1::Worker::State state, const std::string& reason,
                        Decision& out);
  void members_changed();
  void persist_worker(WorkerEntry& worker, Decision& out);
  void check_silence(const std::string& worker_id, Decision& out, Now now);
  void shift_for_stall(Now now);
  [[nodiscard]] v1::SessionResponse message_to(const WorkerEntry& worker) const;
  absl::StatusOr<WorkerEntry*> admit(const RegisterOrder& order, Now now);

  void mark(LiveJob& live);
  [[nodiscard]] v1::Job shown(const v1::Job& job);
  // Ends every public call: places what fits now and turns what was marked into one commit.
  Decision seal(Decision out);

  SchedulerConfig::Scheduling config_;
  uint64_t epoch_;
  WallTime since_;
  JobTable jobs_;
  WorkerTable workers_;
  TimerQueue timers_;
  std::map<CallId, ParkedCall> parked_;
  std::map<CallId, SubmitOrder> unchecked_;  // whose keys are being looked up
  // Keys whose jobs are not durable yet, or wait for their first verdict; the store has the rest.
  std::unordered_map<std::string, FirstAnswer> first_answers_;
  std::vector<std::string> marked_;   // jobs that this decision changed
  std::set<CallId> waiting_outputs_;  // parked reads of ended jobs, which wait for a worker
  bool placement_changed_ = false;    // a job or a member changed since place() looked
  uint64_t last_seq_ = 0;
  uint64_t last_session_ = 0;
  uint64_t commit_ = 0;          // of the last decision that persisted something
  uint64_t workers_commit_ = 0;  // of the last change of a member
  BootTime last_tick_{};
  std::optional<BootTime> expected_tick_;
};

}  // namespace clusterd
