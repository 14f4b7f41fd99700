#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "core/event_loop.h"
#include "worker/admission.h"
#include "worker/attempt_lines.h"
#include "worker/original_membership.h"
#include "worker/output_cleaner.h"
#include "worker/output_readers.h"
#include "worker/process_launcher.h"
#include "worker/session_client.h"
#include "worker/worker_decider.h"
#include "worker/worker_metrics.h"

namespace clusterd {

// Carries out what WorkerDecider decides: the runner of the worker's effects, and the owner of
// its three threads. `core` owns all state and never blocks; `files` checks starts and keeps
// small files; `reading` reads output for readers that waited.
//
// Owned by run_worker. The public functions may be called on any thread; callbacks run on the
// core thread. Ends by close(), after the server that calls it has been shut down.
class WorkerCore {
 public:
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // `jobs` has absolute folders; output older than `max_age` goes; `clock` outlives this.
  WorkerCore(const WorkerConfig::Jobs& jobs, LimitsPolicy limits, std::chrono::nanoseconds max_age,
             const Clock& clock);
  ~WorkerCore();
  WorkerCore(const WorkerCore&) = delete;
  WorkerCore& operator=(const WorkerCore&) = delete;

  // ---- once each, before the launcher is started; `launcher` outlives close()
  void use_session(SessionOptions options);
  // The same with a scheduler of an earlier system.
  void use_original(OriginalOptions options);
  // `on_replaced` is called when another process has taken the launcher over: this one has ended
  // its session and is to go, without a word about the jobs.
  [[nodiscard]] LauncherObserver launcher_observer(absl::AnyInvocable<void()> on_replaced);
  void use_launcher(ProcessLauncher* launcher);

  // Starts are judged by `check` and not by what the configuration allows: the worker is a program
  // with handlers. Called on the `files` thread.
  using Check = std::function<absl::StatusOr<internal::LaunchPlan>(const v1::StartAttempt&)>;
  void use_check(Check check) { check_ = std::move(check); }

  // The launcher writes its log so from now on.
  void use_launcher_log(const LogConfig& settings);

  // How far a running attempt is. Any thread.
  void report_progress(v1::AttemptKey key, v1::Progress progress);

  // ---- the scheduler's calls
  void start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done);
  void stop_jobs(v1::StopJobsRequest request, Done<v1::StartJobsResponse> done);
  void signal_job(v1::SignalAttemptRequest request, Done<v1::StartJobsResponse> done);
  void query_job(v1::AttemptKey key, Done<v1::AttemptStatus> done);
  void list_jobs(Done<v1::ListAttemptsResponse> done);
  void list_scripts(v1::ListWorkerScriptsRequest request, Done<v1::ListWorkerScriptsResponse> done);
  void identify(Done<v1::WorkerIdentity> done);

  // ---- a scheduler of an earlier system
  // Runs `task` on the core thread; with null where the scheduler is one of ours.
  void with_original(absl::AnyInvocable<void(OriginalMembership*)> task);

  // ---- readers of output
  [[nodiscard]] uint64_t next_reader_id() { return ++last_reader_id_; }
  [[nodiscard]] std::string folder_of(const v1::AttemptKey& key) const;
  void look_up_output(OutputStreamer* streamer);
  void wait_for_output(OutputStreamer* streamer);
  void cancel_wait(uint64_t reader_id);

  // For a page of metrics; any thread.
  [[nodiscard]] const WorkerMetrics& metrics() const { return metrics_; }

  // ---- leaving; each blocks until it is done, and is not for the core thread
  void stop_all_jobs();
  // `idle` is called once, when no attempt is held, or when `limit` has passed. Does not block.
  void call_when_idle(std::optional<std::chrono::nanoseconds> limit,
                      absl::AnyInvocable<void()> idle);
  // LEFT where no attempt is held, else OFFLINE.
  void deregister();
  // Ends the session. `for_good`: tells the launcher to leave when it can.
  void close(bool for_good);

 private:
  std::optional<BootTime> on_turn();
  void carry_out(WorkerEffect effect);
  void check_start(CheckStart check);
  void keep_end(KeepEnd keep);
  // OK: kept, or there is nothing to keep it for.
  absl::Status try_to_keep(const v1::HeldAttempt& attempt);
  void note_unenforced(const internal::LauncherHello& hello);
  void check_idle(Now now);
  std::optional<BootTime> on_files_turn();
  void on_session_message(const v1::SessionResponse& message);
  [[nodiscard]] OutputView view_of(const AttemptId& id) const;
  [[nodiscard]] LineOwner line_owner() const;
  [[nodiscard]] v1::Heartbeat make_heartbeat();
  [[nodiscard]] SessionOwner session_owner();
  CallId await(Done<v1::StartJobsResponse> done);
  // Runs `task` on the core thread and returns when it has called its argument.
  void block_on(absl::AnyInvocable<void(absl::AnyInvocable<void()>)> task);

  const std::string data_dir_;
  const Clock& clock_;
  Admission admission_;  // `files` thread only, but for what does not change
  Check check_;          // in its place; null: none
  std::atomic<uint64_t> last_reader_id_ = 0;
  WorkerMetrics metrics_;

  // Core thread only.
  WorkerDecider decider_;
  ProcessLauncher* launcher_ = nullptr;
  CallId last_call_ = 0;
  absl::flat_hash_map<CallId, Done<v1::StartJobsResponse>> calls_;
  std::unique_ptr<Membership> membership_;        // null until use_session or use_original
  OriginalMembership* original_ = nullptr;        // the same, where it is one
  std::vector<absl::AnyInvocable<void()>> idle_;  // empty: nobody asked
  std::optional<BootTime> idle_limit_;
  std::unique_ptr<OutputReaders> readers_;
  absl::AnyInvocable<void()> on_replaced_;
  bool launcher_seen_ = false;
  std::vector<internal::UnenforcedLimit> unenforced_;  // by the launcher that is connected

  // `files` thread only.
  std::optional<BootTime> next_sweep_;   // none before the launcher has said what it holds
  std::vector<v1::HeldAttempt> unkept_;  // the disk was full: tried again
  BootTime retry_ends_at_;

  // Last: their threads end before what they use. `files` and `reading` post to `core`.
  EventLoop core_;
  EventLoop files_;
  EventLoop reading_;

  OutputCleaner cleaner_;  // posts to both
};

}  // namespace clusterd
