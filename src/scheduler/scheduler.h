#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/config.h"
#include "scheduler/decision.h"
#include "scheduler/job_table.h"
#include "scheduler/schedule_table.h"
#include "scheduler/scheduler_metrics.h"
#include "scheduler/timer_queue.h"
#include "scheduler/worker_table.h"

namespace clusterd {

// What tells a repetition of a call from the first: caller, method and request id, and the digest
// of the request without its id. An empty key: the caller gave no id.
struct RequestKey {
  std::string key;
  std::string sha256;
};

// A job to accept. The spec has passed check_job_spec().
struct SubmitOrder {
  std::string job_id;  // fresh
  v1::JobSpec spec;
  std::string submitted_by;
  std::string trace_parent;
  RequestKey request;
  std::string external_id;  // empty: none
  std::string schedule;     // by whose order; empty: none's
};

// A schedule to set up or to change. It has passed check_schedule(), its spec what StartJob asks.
struct ScheduleOrder {
  v1::Schedule schedule;
  std::string who;
  RequestKey request;
};

// A worker of one of the two earlier systems that asks for membership.
struct OriginalOrder {
  v1::Worker::Protocol protocol = v1::Worker::JOBSCHEDULER;
  std::string name;     // its own id where the protocol has one, else a wish
  std::string address;  // complete
  std::string fresh_worker_id;
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
  // `metrics` outlives this; null: nobody reads them.
  Scheduler(const SchedulerConfig& config, StoreContents contents, Now now,
            SchedulerMetrics* metrics = nullptr);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // First of all: reads what jobs wait for that is not in memory.
  Decision begin(Now now);

  // --- callers; each call is answered by exactly one Reply, in this decision or a later one.
  Decision submit(CallId call, SubmitOrder order, Now now);
  Decision stop(CallId call, const v1::StopJobRequest& request, const std::string& who,
                const RequestKey& key, Now now);
  Decision signal(CallId call, const v1::SignalJobRequest& request, int signal,
                  const RequestKey& key, Now now);
  Decision retry(CallId call, const v1::RetryJobRequest& request, const RequestKey& key, Now now);
  Decision erase(CallId call, const v1::DeleteJobRequest& request, const RequestKey& key, Now now);
  // Both act on a page of jobs at a time, each with a commit of its own, and answer after the last;
  // they go on where their caller goes away. The selection has passed check_selection().
  Decision stop_matching(CallId call, const v1::StopMatchingJobsRequest& request,
                         const std::string& who, const RequestKey& key, Now now);
  Decision retry_matching(CallId call, const v1::RetryMatchingJobsRequest& request,
                          const RequestKey& key, Now now);
  Decision query(CallId call, const v1::QueryJobRequest& request);
  Decision wait(CallId call, const v1::WaitJobRequest& request, Now now);
  Decision explain(CallId call, const v1::ExplainJobRequest& request);
  Decision locate_output(CallId call, const OutputQuery& query, Now now);
  Decision outcome_of(CallId call, const v1::AttemptKey& key, Now now);
  // Fills in how far the jobs of a page from the store are.
  void show_progress(v1::ListJobsResponse& page);
  Decision list_workers(CallId call, const v1::ListWorkersRequest& request);
  Decision get_worker(CallId call, const v1::GetWorkerRequest& request);
  Decision drain(CallId call, const v1::DrainWorkerRequest& request, const RequestKey& key,
                 Now now);
  Decision resume(CallId call, const v1::ResumeWorkerRequest& request, const RequestKey& key,
                  Now now);
  Decision remove(CallId call, const v1::RemoveWorkerRequest& request, const RequestKey& key,
                  Now now);
  // NOT_FOUND: it was not set up and holds no jobs.
  Decision list_queues(CallId call);
  Decision get_queue(CallId call, const v1::GetQueueRequest& request);
  // INVALID_ARGUMENT: a name or a weight that is not allowed.
  Decision set_queue(CallId call, const v1::SetQueueRequest& request, const RequestKey& key,
                     Now now);
  Decision pause_queue(CallId call, const v1::PauseQueueRequest& request, const RequestKey& key,
                       Now now);
  Decision resume_queue(CallId call, const v1::ResumeQueueRequest& request, const RequestKey& key,
                        Now now);
  // FAILED_PRECONDITION: it holds jobs.
  Decision delete_queue(CallId call, const v1::DeleteQueueRequest& request, const RequestKey& key,
                        Now now);
  Decision create_schedule(CallId call, ScheduleOrder order, Now now);
  Decision update_schedule(CallId call, ScheduleOrder order, Now now);
  Decision list_schedules(CallId call, Now now);
  Decision get_schedule(CallId call, const std::string& name, Now now);
  Decision pause_schedule(CallId call, const v1::PauseScheduleRequest& request,
                          const RequestKey& key, Now now);
  Decision resume_schedule(CallId call, const v1::ResumeScheduleRequest& request,
                           const RequestKey& key, Now now);
  // `fresh_job_id` is the job's.
  Decision trigger_schedule(CallId call, const v1::TriggerScheduleRequest& request,
                            const std::string& fresh_job_id, const RequestKey& key, Now now);
  Decision delete_schedule(CallId call, const v1::DeleteScheduleRequest& request,
                           const RequestKey& key, Now now);
  // `leader`: where this scheduler is reached.
  Decision get_cluster(CallId call, v1::Caller caller, std::string leader);
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

  // --- members of other protocols
  // ALREADY_EXISTS: the name is that of a worker of another protocol.
  Decision register_original(CallId call, const OriginalOrder& order, Now now);
  // NOT_FOUND: no such member of that protocol.
  Decision leave_original(CallId call, v1::Worker::Protocol protocol, const std::string& id_or_name,
                          Now now);
  // Another process has its address.
  Decision original_gone(const std::string& worker_id, const std::string& reason, Now now);
  // A go-work worker's word that a task has ended; the task is named by external id or job id.
  // NOT_FOUND: no such task. FAILED_PRECONDITION: it is not with such a worker.
  Decision complete_task(CallId call, const std::string& task_id,
                         const std::optional<std::string>& error, Now now);
  // Stops a task, named in the same way. NOT_FOUND: no such task.
  Decision cancel_task(CallId call, const std::string& task_id, const std::string& who, Now now);

  // --- results of effects
  Decision start_answered(const std::string& worker_id, uint64_t session,
                          const std::vector<v1::AttemptKey>& keys,
                          const absl::StatusOr<v1::StartJobsResponse>& answer, Now now);
  Decision stop_answered(const std::string& worker_id, uint64_t session,
                         const std::vector<v1::AttemptKey>& keys, const absl::Status& answer,
                         Now now);
  // A signal that had a request key did not reach the attempt: a repetition tries anew.
  Decision signal_failed(const std::string& request_key, Now now);
  // `found` is an error where the store could not be read.
  Decision looked_up(uint64_t id, absl::StatusOr<LookedUp> found, Now now);
  Decision expired(const std::vector<std::string>& job_ids, Now now);
  Decision matched(uint64_t id, absl::StatusOr<MatchedJobs> page, Now now);
  void committed(uint64_t number);

  // --- time
  Decision tick(Now now);
  [[nodiscard]] std::optional<BootTime> next_deadline() const { return timers_.next(); }

  // Id of a worker given by id or name. NOT_FOUND names the field `worker_id`.
  [[nodiscard]] absl::StatusOr<std::string> resolve_worker(const std::string& id_or_name);
  // Id of the go-work member that calls itself so; empty: none.
  [[nodiscard]] std::string go_work_member(const std::string& name);
  // By what name a go-work worker is told of a job: its submitter's, else our own.
  [[nodiscard]] std::string task_id_of(const std::string& job_id);
  // Name of a worker given by its id; empty: there is none.
  [[nodiscard]] std::string name_of_worker(const std::string& worker_id);
  [[nodiscard]] uint64_t epoch() const { return epoch_; }
  [[nodiscard]] uint64_t newest_event() const { return last_event_; }
  // The number of the job that was accepted last.
  [[nodiscard]] uint64_t newest_job() const { return last_seq_; }

 private:
  // A call that waits for a job to change.
  struct ParkedCall {
    enum class Kind { kJob, kFirstAnswer, kNotRunning, kExplained, kEnd, kOutput, kOutcome };
    Kind kind = Kind::kJob;
    std::string job_id;
    std::string worker_filter;
    uint32_t attempt = 0;
    bool follow = false;
    bool resuming = false;
    uint64_t session = 0;  // when resuming: the one to outlive
    bool expired = false;  // answer now, whatever the job's state
  };

  // What the first call with a key was about.
  struct FirstAnswer {
    std::string request_sha256;
    std::string subject_id;
    uint64_t commit = 0;
  };

  using Resume = absl::AnyInvocable<void(absl::StatusOr<LookedUp> found, Decision& out, Now now)>;
  // What waits for a LookUp.
  struct PendingLookUp {
    LookUp question;
    CallId call = 0;     // 0: nobody's
    bool stale = false;  // one of its jobs has changed since: ask again
    Resume resume;
  };
  // How a call that has been made before is answered, and what happens at the first.
  struct KeyedCall {
    CallId call = 0;
    RequestKey request;
    std::string job_id;       // to read, unless it is in memory; empty: none
    bool with_tasks = false;  // its recorded tasks too
    absl::AnyInvocable<void(const std::string& subject_id, Decision& out)> repeat;
    Resume first;
  };

  // An order about one worker, by id or name.
  struct WorkerOrder {
    CallId call = 0;
    std::string id_or_name;
    RequestKey request;
    absl::AnyInvocable<absl::Status(WorkerEntry& worker, Decision& out, Now now)> change;
  };
  // A call about all jobs that match, which goes on a page at a time.
  struct GroupCall {
    std::vector<CallId> calls;  // repetitions too
    RequestKey request;
    bool retries = false;  // else it stops them
    bool dry_run = false;
    v1::StopRequest wish;              // of one that stops
    v1::ListJobsRequest page;          // the one that is acted on, then the next
    std::vector<std::string> of_page;  // what this page has, newest first
    std::set<std::string> retried;     // of them; they are read in any order
    size_t reading = 0;                // jobs of the page that are read for their retry
    absl::Status failure;              // ends it after this page
    v1::MatchingJobsResponse answer;
  };
  // Whether a worker came back with the boot and the journal that it had.
  struct SameAsBefore {
    bool boot = false;
    bool journal = false;
  };

  // scheduler.cc
  void load_job(v1::Job job, const StoreContents& contents);
  void resume_waiting(LiveJob& live, Decision& out, Now now);
  void mark(LiveJob& live);
  // The same for a change that is no event: an array's counts.
  void mark_quietly(LiveJob& live);
  void add_event(v1::Event event, Decision& out, Now now);
  [[nodiscard]] v1::Job shown(const v1::Job& job);
  void reply(CallId call, absl::StatusOr<Answer> answer, Decision& out);  // 0: nobody's
  // To the caller who waits for a directed start, if there is one.
  void answer_start(LiveJob& live, Decision& out);
  void fire(const Timer& timer, Decision& out, Now now);
  // Ends every public call: places what fits now and turns what was marked into one commit.
  Decision seal(Decision out, Now now);
  // scheduler_lookups.cc
  void look_up(LookUp question, CallId call, Resume resume, Decision& out);
  void make_stale(const std::string& job_id);
  void once(KeyedCall keyed, Decision& out, Now now);
  void go_on(KeyedCall& keyed, absl::StatusOr<LookedUp> found, Decision& out, Now now);
  void keep_first_answer(const RequestKey& request, const std::string& subject_id, Decision& out,
                         Now now);
  // The position of a task of a live array that has no record; the array in `array`.
  [[nodiscard]] std::optional<uint32_t> unrecorded_task(const std::string& job_id, LiveJob** array);
  [[nodiscard]] LiveJob* find_or_make_task(const std::string& job_id, Decision& out, Now now);
  // scheduler_submit.cc
  // The error, where it was refused.
  absl::Status accept(CallId call, SubmitOrder order, const LookUp& question, const LookedUp& found,
                      Decision& out, Now now);
  [[nodiscard]] absl::Status check_room() const;
  // A script that comes with the job is not too large, and neither are all of them together.
  [[nodiscard]] absl::Status check_upload(const v1::JobSpec& spec) const;
  absl::StatusOr<WorkerEntry*> directed_target(const v1::JobSpec& spec);
  [[nodiscard]] std::vector<std::string> dependencies_to_read(const v1::JobSpec& spec);
  void submit_after(LookUp question, CallId call, SubmitOrder order, Decision& out, Now now);
  absl::Status check_dependencies(const LookUp& question, const LookedUp& found);
  void answer_submitted(const std::string& job_id, CallId call, Decision& out, Now now);
  [[nodiscard]] absl::Status check_external_id(const std::string& external_id,
                                               const LookedUp& found);
  // The job goes: its external id is free once that is durable.
  void reserve_external_id(const v1::Job& job);
  // scheduler_waiting.cc
  void wait_for_dependencies(LiveJob& live);
  void dependencies_read(LiveJob& live, const std::vector<std::string>& asked,
                         const LookedUp& found, Decision& out, Now now);
  void forget_dependency(LiveJob& live, const std::string& job_id);
  void meet_dependency(LiveJob& live, const v1::Job& ended, Decision& out, Now now);
  void tell_dependents(const v1::Job& ended, Decision& out, Now now);
  // The job vanishes: nothing can wait for it any more.
  void forget_awaited(const std::string& job_id, Decision& out, Now now);
  void hold_until(LiveJob& live, BootTime at);
  void end_waiting(LiveJob& live, const v1::JobEnd& end, Decision& out, Now now);
  [[nodiscard]] static bool waits_for_room(const LiveJob& live);
  // Puts it into the queue, or takes it out, as what it waits for says.
  void refresh(LiveJob& live, Decision& out, Now now);
  void check_queue_timeout(const std::string& job_id, Decision& out, Now now);
  [[nodiscard]] std::string pending_reason(const LiveJob& live);
  // scheduler_placement.cc
  // Starts what fits, where anything has changed since the last time.
  void place(Decision& out, Now now);
  // False: it fits nowhere now.
  [[nodiscard]] bool start_head(const ReadyQueue::Head& head, const WorkerTable::Reserved& reserved,
                                Decision& out, Now now);
  void start_attempt(LiveJob& live, WorkerEntry& worker, Decision& out, Now now);
  void requeue(LiveJob& live, std::chrono::nanoseconds delay, Decision& out, Now now);
  // scheduler_tasks.cc
  LiveJob& add_task(LiveJob& array, uint32_t position, v1::Job job);
  LiveJob& make_task(LiveJob& array, uint32_t position);
  absl::Status check_broadcast(const v1::JobSpec& spec);
  void expand_broadcast(LiveJob& live, Decision& out, Now now);
  void task_changed(LiveJob& task, Decision& out, Now now);
  void end_unstarted(LiveJob& array, const v1::JobEnd& end, Decision& out, Now now);
  void stop_tasks(LiveJob& array, Decision& out, Now now);
  // The array ends where none of its tasks can run any more.
  void settle_array(LiveJob& array, Decision& out, Now now);
  void retry_more_tasks(LiveJob& array, Decision& out, Now now);
  void revive_tasks(LiveJob& array, const std::vector<absl::StatusOr<v1::Job>>& tasks,
                    Decision& out, Now now);
  LiveJob& revive_task(LiveJob& array, v1::Job task, Decision& out, Now now);
  // scheduler_gangs.cc
  // All tasks, each on the worker of its rank.
  void start_gang(LiveJob& gang, const std::vector<WorkerEntry*>& workers, Decision& out, Now now);
  // The task ended without success: what follows for the others.
  void fail_gang(LiveJob& gang, const LiveJob& task, Decision& out, Now now);
  // Names of the workers of all tasks of its gang are known; false: they are read first, and then
  // the task is sent.
  [[nodiscard]] bool know_peers(LiveJob& task, Decision& out);
  void peers_read(const std::string& task_id, const std::vector<std::string>& asked,
                  const absl::StatusOr<LookedUp>& found, Decision& out, Now now);
  [[nodiscard]] std::string peer_name(const v1::Job& task);
  // scheduler_queues.cc
  using QueueChange = absl::AnyInvocable<absl::Status(v1::Queue& queue)>;
  void change_queue(CallId call, const std::string& name, const RequestKey& key, QueueChange change,
                    Decision& out, Now now);
  void answer_queue(CallId call, const std::string& name, Decision& out);
  // RESOURCE_EXHAUSTED: so many more jobs are above its cap.
  [[nodiscard]] absl::Status check_queue_room(const v1::JobSpec& spec, uint64_t jobs) const;
  // scheduler_calls.cc
  void ask(CallId call, ParkedCall parked, Decision& out);
  Decision ask_now(CallId call, ParkedCall parked, std::optional<BootTime> until = {});
  void stored_job(CallId call, const absl::StatusOr<v1::Job>& job, Decision& out);
  // The answer as the job is now; nullopt: it waits for a change.
  [[nodiscard]] std::optional<absl::StatusOr<Answer>> evaluate(const ParkedCall& parked,
                                                               const v1::Job& job);
  [[nodiscard]] std::optional<absl::StatusOr<Answer>> evaluate_output(const ParkedCall& parked,
                                                                      const v1::Job& job);
  void reconsider(LiveJob& live, Decision& out);
  void reconsider_outputs_of(const WorkerEntry& worker, Decision& out);
  void ask_again(CallId call, Decision& out);
  void unpark(CallId call);
  [[nodiscard]] bool on_worker(const v1::Job& job, const std::string& worker_filter);
  // scheduler_orders.cc
  KeyedCall keyed_job_call(CallId call, const RequestKey& key, const std::string& job_id);
  void stop_live(LiveJob& live, const v1::StopRequest& wish, Decision& out, Now now);
  // From the stop signal to KILL, of an array the longest of its tasks'; nullopt: not known, or
  // nothing runs.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> grace_of(const LiveJob& live);
  void read_and_retry(CallId call, const v1::RetryJobRequest& request, const RequestKey& key,
                      Decision& out);
  [[nodiscard]] absl::Status check_retry_room(const v1::Job& job, const RecordedTasks& tasks) const;
  void retry_ended(CallId call, const v1::Job& job, const RecordedTasks& tasks,
                   const RequestKey& key, Decision& out, Now now);
  void retry_task(CallId call, const v1::Job& task, const RequestKey& key, Decision& out, Now now);
  LiveJob& revive(const v1::Job& job, const RecordedTasks& tasks);
  void erase_ended(const v1::Job& job, Decision& out, Now now);
  // scheduler_attempts.cc
  void send_start(LiveJob& live, WorkerEntry& worker, Decision& out);
  void send_stop(LiveJob& live, WorkerEntry& worker, Decision& out);
  void order_failed(const std::vector<v1::AttemptKey>& keys, const std::string& worker_id,
                    uint64_t session, Now now);
  void resend_order(const std::string& job_id, Decision& out);
  LiveJob* current_attempt(const v1::AttemptKey& key, const std::string& worker_id);
  void take_handlers(WorkerEntry& worker, const v1::RegisterWorkerRequest& request);
  void attempt_progressed(LiveJob& live, const v1::Progress& progress);
  void attempt_started(LiveJob& live, const v1::JobEvent& event, Decision& out, Now now);
  void attempt_refused(LiveJob& live, const absl::Status& refusal, Decision& out, Now now);
  // Another attempt, where one is due, starts no earlier than `least_delay` from now.
  void attempt_ended(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out, Now now,
                     std::chrono::nanoseconds least_delay = {});
  void finish(LiveJob& live, const v1::JobEnd& end, WallTime when, Decision& out, Now now);
  // An attempt that is not current any more has ended: kept if it had been given up.
  void late_end(const v1::AttemptKey& key, const v1::JobEnd& end, const WorkerEntry& worker,
                Decision& out);
  // scheduler_sessions.cc
  void reconcile(WorkerEntry& worker, const v1::SessionHello& hello, SameAsBefore same,
                 Decision& out, Now now);
  void adopt(LiveJob& live, const v1::HeldAttempt& held, Decision& out, Now now);
  void apply_events(WorkerEntry& worker, const v1::JobEvents& events, Decision& out, Now now);
  [[nodiscard]] v1::SessionResponse message_to(const WorkerEntry& worker) const;
  void send_drain(const WorkerEntry& worker, Decision& out);
  void send_doomed(const WorkerEntry& worker, Decision& out);
  // scheduler_members.cc
  absl::StatusOr<WorkerEntry*> admit(const RegisterOrder& order, Now now);
  // `fault` empty: none; the reason is then that of a drain.
  void set_worker_state(WorkerEntry& worker, v1::Worker::State state, const std::string& fault);
  void persist_worker(WorkerEntry& worker);
  void change_worker(WorkerOrder order, Decision& out, Now now);
  void forget_worker(WorkerEntry& worker, const std::string& why, Decision& out, Now now);
  void lose_attempts(WorkerEntry& worker, const std::string& why, Decision& out, Now now);
  void check_drain(const std::string& worker_id, Decision& out, Now now);
  // scheduler_quarantine.cc
  // A start failed by the worker's own fault; `why` is for people.
  void start_failed(WorkerEntry& worker, const std::string& why, Now now);
  void start_succeeded(WorkerEntry& worker);
  // The job's attempt here has ended, or never started.
  void start_over(WorkerEntry& worker, const std::string& job_id, const v1::JobEnd& end, Now now);
  // The job was given to the worker: where that is in quarantine, it is tried there.
  static void note_probe(WorkerEntry& worker, const LiveJob& live);
  void plan_probe(WorkerEntry& worker, Now now);
  void let_probe(const Timer& timer);
  void resume_quarantine(WorkerEntry& worker, Now now);
  void end_quarantine(WorkerEntry& worker);
  // scheduler_matching.cc
  void begin_group(CallId call, GroupCall group, Decision& out, Now now);
  void act_on_page(uint64_t id, GroupCall& group, const std::vector<std::string>& job_ids,
                   Decision& out, Now now);
  void retry_matched(uint64_t id, const absl::StatusOr<LookedUp>& found, Decision& out, Now now);
  void next_page(uint64_t id, Decision& out, Now now);
  // scheduler_originals.cc
  absl::StatusOr<WorkerEntry*> make_room_for(const OriginalOrder& order, Decision& out, Now now);
  void admit_remembered(Decision& out);
  // Goes on with the task where it lives, with null where it has ended.
  using WithTask = std::function<void(LiveJob* live, Decision& out, Now now)>;
  Decision with_task(CallId call, const std::string& task_id, WithTask go_on, Now now);
  // scheduler_silence.cc
  [[nodiscard]] std::optional<BootTime> silence_deadline(const WorkerEntry& worker);
  void watch(WorkerEntry& worker);
  void check_silence(const Timer& timer, Decision& out, Now now);
  void lose_attempt(LiveJob& live, const std::string& message, BootTime last_heard, Decision& out,
                    Now now);
  [[nodiscard]] std::chrono::nanoseconds lost_after(const v1::JobSpec& spec) const;
  void shift_for_stall(Now now);
  // scheduler_retention.cc
  void look_for_expired(Decision& out, Now now);
  void forget_left_workers(Decision& out, Now now);
  // scheduler_schedules.cc
  absl::Status check_new_schedule(const ScheduleOrder& order) const;
  void answer_schedule(CallId call, const std::string& name, Decision& out, Now now);
  void keep_schedule(const ScheduleEntry& entry, Decision& out);
  // What a job waits for is read again after a while.
  void read_again(const std::string& job_id, Now now);
  // A job that a caller asked for at once was refused and leaves nothing.
  void unschedule(const v1::Job& job, Decision& out);
  // Workers that its jobs name may still come back after this term's start.
  [[nodiscard]] bool awaits_workers(const ScheduleEntry& entry, Now now);
  Decision pause_or_resume(CallId call, const std::string& name, bool paused, const RequestKey& key,
                           Now now);
  // scheduler_firing.cc
  // Submits what is due, and sees to it that it is asked again.
  void fire_schedules(Decision& out, Now now);
  void watch_schedules(Now now, std::chrono::nanoseconds least_wait = {});
  void deal_with(ScheduleEntry& entry, Decision& out, Now now);
  // Submits the job of one time. The error says why there is none.
  absl::Status submit_scheduled(ScheduleEntry& entry, WallTime time, bool behind_earlier,
                                Decision& out, Now now);
  // scheduler_views.cc
  void answer_worker(CallId call, const std::string& id_or_name, Decision& out);
  [[nodiscard]] v1::ExplainJobResponse explanation(const v1::Job& job);
  [[nodiscard]] std::string summary_of(const v1::Job& job);

  const SchedulerConfig config_;
  std::unique_ptr<SchedulerMetrics> own_metrics_;  // where nobody reads them
  SchedulerMetrics& metrics_;
  uint64_t epoch_;
  WallTime since_;
  JobTable jobs_;
  WorkerTable workers_;
  ScheduleTable schedules_;
  std::optional<BootTime> schedules_at_;  // when they are looked at next
  TimerQueue timers_;
  std::map<CallId, ParkedCall> parked_;
  std::map<uint64_t, PendingLookUp> lookups_;
  std::map<uint64_t, GroupCall> groups_;
  // Keys whose records are not durable yet, or wait for a first verdict; the store has the rest.
  std::unordered_map<std::string, FirstAnswer> first_answers_;
  std::map<std::string, std::set<std::string>> dependents_;  // by the job that they wait for
  std::map<std::string, std::vector<CallId>> task_waiters_;  // by tasks that have no record yet
  std::map<std::string, uint64_t> erased_;  // deleted jobs, by the commit that is not durable yet
  std::map<std::string, uint64_t> erased_external_;  // the same for external ids
  std::map<std::string, bool> marked_;  // jobs that this decision changed; true: an event
  std::set<std::string> marked_workers_;
  std::set<CallId> waiting_outputs_;  // parked reads of ended jobs, which wait for a worker
  bool placement_changed_ = false;    // a job or a member changed since place() looked
  uint64_t last_seq_ = 0;
  uint64_t last_event_ = 0;
  uint64_t last_session_ = 0;
  uint64_t last_lookup_ = 0;
  uint64_t last_group_ = 0;
  uint64_t commit_ = 0;            // of the last decision that persisted something
  uint64_t workers_commit_ = 0;    // of the last change of a member
  uint64_t schedules_commit_ = 0;  // the same of a schedule
  uint64_t queues_commit_ = 0;     // the same of a queue
  BootTime last_tick_{};
  std::optional<BootTime> expected_tick_;
};

}  // namespace clusterd
