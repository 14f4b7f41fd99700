#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "core/clock.h"
#include "worker/held_attempt.h"
#include "worker/worker_effects.h"

namespace clusterd {

// Decides what this worker does with attempts. Holds no socket, file, timer or clock: inputs are
// calls, outputs the effects that take_effects() returns.
//
// Commands count only in the session under which they were given: a session that closes takes
// with it what has not reached the launcher, so that the inventory of the next one is the whole
// truth. Owned by WorkerCore; core thread only.
class WorkerDecider {
 public:
  // `output_folder` names where an attempt's files lie.
  explicit WorkerDecider(std::function<std::string(const v1::AttemptKey&)> output_folder);

  // ---- from the launcher
  // First, and after each reconnection: what it holds settles what orders were lost.
  void on_launcher_connected(const internal::LauncherHello& hello, Now now);
  void on_launcher_message(const internal::FromLauncher& message, Now now);
  void on_launcher_disconnected();

  // ---- the session with the scheduler
  // A hello is about to be sent; returns what is held. Calls of the coming session wait for
  // on_session_opened.
  [[nodiscard]] std::vector<v1::HeldAttempt> on_session_opening(uint64_t epoch);
  void on_session_opened(uint64_t epoch, uint64_t session, Now now);
  void on_session_closed();
  // The scheduler has heard what was sent at that time; the launcher's fences count from there.
  void on_contact(BootTime sent);
  void on_acknowledged(const std::vector<v1::AttemptKey>& keys, Now now);
  void on_fenced(const std::vector<v1::AttemptKey>& keys);
  void on_drain(bool draining) { draining_ = draining; }

  // ---- calls of the scheduler; each is answered by one CallReply with its `call`
  void on_start(CallId call, v1::StartJobsRequest request, Now now);
  void on_stop(CallId call, v1::StopJobsRequest request, Now now);
  void on_signal(CallId call, v1::SignalAttemptRequest request, Now now);

  // ---- what the effects brought
  void on_checked(CheckId check, absl::StatusOr<internal::LaunchPlan> plan, Now now);
  // Instead of on_checked: an end of this very attempt is kept here already. It is told, and
  // nothing runs twice.
  void on_ended_before(CheckId check, const v1::HeldAttempt& kept);
  void on_end_kept(const v1::AttemptKey& key, Now now);

  // How far a running attempt says that it is. The newest is told; again in each session.
  void on_progress(const v1::AttemptKey& key, const v1::Progress& progress, Now now);

  // Asks the launcher to stop all that runs: the worker goes and takes its jobs along. From then
  // on no new one is taken: FAILED_PRECONDITION.
  void stop_all(Now now);
  // Expires what is remembered for a while only.
  void on_tick(Now now);

  // Everything decided since the last call, orders and events batched, in the order in which it
  // is to be done.
  [[nodiscard]] std::vector<WorkerEffect> take_effects();

  // NOT_FOUND: not held.
  [[nodiscard]] absl::StatusOr<v1::AttemptStatus> query(const v1::AttemptKey& key) const;
  [[nodiscard]] std::vector<v1::AttemptStatus> list() const;
  [[nodiscard]] const HeldAttempt* find(const v1::AttemptKey& key) const;
  [[nodiscard]] size_t held() const { return attempts_.size(); }
  // The number of the newest session; 0: there was none.
  [[nodiscard]] uint64_t session() const { return session_; }
  // Bytes of output heard of since this was made.
  [[nodiscard]] uint64_t output_bytes() const { return output_bytes_; }
  // Of `held`, those that have not ended.
  [[nodiscard]] uint32_t live() const;
  [[nodiscard]] bool draining() const { return draining_; }
  // When on_tick is next needed.
  [[nodiscard]] std::optional<BootTime> next_deadline() const;

 private:
  using Key = AttemptId;
  struct Batch {
    CallId call = 0;
    std::vector<Key> order;
    absl::flat_hash_map<Key, google::rpc::Status> refused;
    absl::flat_hash_set<Key> waiting;  // not checked yet
  };
  using Parked = std::variant<v1::StartJobsRequest, v1::StopJobsRequest, v1::SignalAttemptRequest>;

  template <typename Request>
  bool is_parked_or_refused(CallId call, const Request& request);
  absl::Status check_current(uint64_t epoch, uint64_t session) const;
  void reply(CallId call, absl::Status status);
  void start_one(v1::StartAttempt attempt, Batch& batch);
  // The attempt whose check this was, where that still waits for it.
  HeldAttempt* take_check(CheckId check);
  void settle(const Key& key, const google::rpc::Status& refusal);
  void answer(const Batch& batch);
  void stop_one(const Key& key, Now now);
  void launch(HeldAttempt& held);
  void mark_started(HeldAttempt& held, const internal::LaunchedAttempt& launched);
  void mark_ended(HeldAttempt& held, const internal::LaunchedAttempt& launched);
  void end_unstarted(HeldAttempt& held, Now now);
  void adopt(const internal::LaunchedAttempt& launched, Now now);
  void settle_missing(HeldAttempt& held, Now now);
  void grow(const internal::OutputGrowth& growth);
  // The output is so long now; what that is more than before is counted.
  void note_length(HeldAttempt& held, const v1::OutputStream& output);
  void tell_end(const HeldAttempt& held);
  void forget(const Key& key, Now now);
  void flush_orders();
  v1::HeldAttempt describe(const HeldAttempt& held) const;
  static v1::AttemptStatus status_of(const HeldAttempt& held);
  v1::JobEvent& add_event(const HeldAttempt& held, const google::protobuf::Timestamp& time);

  const std::function<std::string(const v1::AttemptKey&)> output_folder_;
  std::map<Key, HeldAttempt> attempts_;  // in order: the same inputs decide the same
  absl::flat_hash_set<Key> fenced_;      // told to the launcher, or to be told when it is back
  // Acknowledged lately: a start that was delayed on its way must not bring them back.
  std::deque<std::pair<BootTime, Key>> forgotten_order_;
  absl::flat_hash_set<Key> forgotten_;
  absl::flat_hash_map<CheckId, Key> checks_;
  std::vector<Batch> batches_;
  std::vector<std::pair<CallId, Parked>> parked_;

  enum class SessionPhase { kClosed, kOpening, kOpen };
  SessionPhase phase_ = SessionPhase::kClosed;
  uint64_t epoch_ = 0;  // the highest seen
  uint64_t session_ = 0;
  bool launcher_connected_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  CheckId last_check_ = 0;

  std::vector<WorkerEffect> effects_;
  internal::ToLauncher orders_;
  std::vector<SendOrders> ready_orders_;
  size_t launch_bytes_ = 0;
  uint64_t contact_ns_ = 0;
  uint64_t output_bytes_ = 0;
  std::vector<v1::JobEvent> events_;
};

}  // namespace clusterd
