#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"
#include "support/memory_store.h"

namespace clusterd {

// A Scheduler in virtual time with everything around it played by hand: commits are durable at
// once unless held back, effects are collected by kind, replies by call.
//
// Owned by a test. Its destructor checks nothing; tests ask what they care about.
class ClusterOfFakes {
 public:
  explicit ClusterOfFakes(const SchedulerConfig::Scheduling& scheduling = {});
  // The same with what a store holds.
  ClusterOfFakes(const SchedulerConfig::Scheduling& scheduling, std::vector<v1::Job> jobs,
                 std::vector<internal::WorkerRecord> workers = {},
                 std::vector<v1::Schedule> schedules = {});

  // Registers a worker of that name, or does so again, opens its session and answers the call back.
  // Returns its id. `unenforced`: the limits that it cannot enforce; absent: it knows none at all.
  // `stop_grace` absent: it does not tell it.
  std::string join(const std::string& name, uint32_t slots,
                   const std::optional<std::vector<std::string>>& unenforced = {{}},
                   std::optional<std::chrono::nanoseconds> stop_grace = std::nullopt);
  // Opens a session for a known worker, with this inventory; returns the stream.
  StreamId open_session(const std::string& worker_id,
                        const std::vector<v1::HeldAttempt>& inventory = {},
                        const std::string& boot_id = "boot");
  // The same for one that speaks another protocol.
  StreamId open_original_session(const std::string& worker_id,
                                 const std::vector<v1::HeldAttempt>& inventory = {},
                                 const std::string& journal_id = "epoch 1");
  void answer_call_back(const std::string& worker_id, bool alive = true);

  // Submits; returns the call. The job's id is "job-<n>", n counting from 1.
  CallId submit(v1::JobSpec spec, const std::string& request_key = "",
                const std::string& request_sha256 = "");
  void send_event(const std::string& worker_id, v1::JobEvent event);
  void heartbeat(const std::string& worker_id, const std::string& occupied = "");
  void say_started(const std::string& worker_id, const std::string& job_id, uint32_t attempt = 1);
  void say_ended(const std::string& worker_id, const std::string& job_id, int exit_code,
                 uint32_t attempt = 1);
  void refuse(const std::string& worker_id, const std::string& job_id, const absl::Status& why);
  // Asks for a stop; the job as the answer shows it.
  v1::Job stop(const std::string& job_id);

  // Feeds a decision in: records the batch, then performs or holds the effects.
  void apply(Decision decision);
  // Moves the clock and lets due timers fire.
  void advance(std::chrono::nanoseconds by);

  // Commits are held back from now on / become durable.
  void hold_commits() { holding_ = true; }
  void release_commits();

  [[nodiscard]] const absl::StatusOr<Answer>* reply(CallId call) const;
  [[nodiscard]] v1::Job job_reply(CallId call) const;
  // Sets a queue up, and its answer.
  v1::Queue set_queue(const std::string& name, uint32_t weight, uint32_t max_running = 0,
                      uint64_t max_queued = 0);
  // The queue as it is now.
  [[nodiscard]] v1::Queue queue(const std::string& name);
  [[nodiscard]] v1::ExplainJobResponse explain(const std::string& job_id);
  // The job as a query shows it now.
  [[nodiscard]] v1::Job query(const std::string& job_id);
  [[nodiscard]] absl::Status query_status(const std::string& job_id);
  // The job as it is durable.
  [[nodiscard]] std::optional<v1::Job> stored(const std::string& job_id);
  [[nodiscard]] v1::Worker worker(const std::string& id_or_name);

  Now now{BootTime(std::chrono::hours(1)), WallTime(std::chrono::hours(1000))};
  MemoryStore store;  // what is durable
  Scheduler scheduler;
  CallId next_call = 1;
  std::vector<v1::Handler> handlers;  // of those who join or come back from now on
  std::vector<std::string> features;  // of those who join or come back from now on, beside "limits"
  std::map<std::string, uint32_t> units;      // counted resources of those who join from now on
  std::map<std::string, std::string> labels;  // the same
  std::vector<std::string> taints;            // the same
  std::vector<Dispatch> dispatched;
  std::vector<StopAttempt> stops;
  std::vector<CallBack> call_backs;
  std::vector<SendDown> sent;
  std::vector<CloseStream> closed;
  std::vector<AdmitOriginal> admitted;

 private:
  StreamId say_hello(const v1::SessionHello& hello, const std::string& digest);
  void perform(std::vector<Effect> effects);

  std::map<CallId, absl::StatusOr<Answer>> replies_;
  std::map<std::string, StreamId> streams_;
  std::map<std::string, uint64_t> sessions_;
  StreamId next_stream_ = 1000;
  uint64_t jobs_made_ = 0;
  bool holding_ = false;
  std::vector<Decision> held_;
};

// The spec of a job for any worker, or for the one named.
[[nodiscard]] v1::JobSpec spec_for(const std::string& worker = "", uint32_t slots = 1);

}  // namespace clusterd
