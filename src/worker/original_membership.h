#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/clock.h"
#include "core/event_loop.h"
#include "worker/membership.h"
#include "worker/session_client.h"

namespace grpc {
class ChannelCredentials;
class ClientContext;
}  // namespace grpc

namespace clusterd {

// What this worker is to a scheduler of an earlier system.
struct OriginalOptions {
  v1::Worker::Protocol protocol = v1::Worker::JOBSCHEDULER;
  std::vector<std::string> addresses;  // tried in turn
  std::string task_addr;               // go-work: where ends are told
  std::function<std::shared_ptr<grpc::ChannelCredentials>()> credentials;
  std::string name;     // go-work: its id there
  std::string address;  // where that scheduler calls
  std::string task_script;
  std::chrono::nanoseconds keep_ends{};  // jobscheduler: how long a job that ended can be queried
};

// The epoch and session in which a scheduler of an earlier system gives its orders; it has neither.
inline constexpr uint64_t kOriginalEpoch = 1;
inline constexpr uint64_t kOriginalSession = 1;

// Keeps this worker a member of a scheduler of one of the two earlier systems: registers with it,
// again where it has been restarted; sends it heartbeats and ends where its protocol has them; and
// knows which attempts run, for its services.
//
// Owned by WorkerCore; core thread only. Ends by stop(), whose callback is the last thing it does.
class OriginalMembership final : public Membership {
 public:
  // `core` and `clock` outlive this.
  OriginalMembership(OriginalOptions options, EventLoop& core, const Clock& clock,
                     SessionOwner owner);
  ~OriginalMembership() override;

  void start(const std::string& journal_id,
             const std::vector<internal::UnenforcedLimit>& unenforced) override;
  void send(v1::SessionRequest news) override;
  [[nodiscard]] std::optional<BootTime> on_turn() override;
  void deregister(bool leaving, absl::AnyInvocable<void()> done) override;
  void stop(absl::AnyInvocable<void()> done) override;
  [[nodiscard]] MemberSelf self() const override;

  // ---- for the services
  [[nodiscard]] const OriginalOptions& options() const { return options_; }
  // An attempt has been ordered, or its order was refused.
  void ordered(const v1::AttemptKey& key);
  void refused(const v1::AttemptKey& key);
  // The newest attempt that has not ended; of this job, or of any.
  [[nodiscard]] std::optional<v1::AttemptKey> live(const std::string& job_id = "") const;
  // A number that no attempt of a task has had.
  [[nodiscard]] uint32_t next_attempt();
  // Calls `done` when the attempt has started, or has ended; and at `until` at the latest. From
  // then on it outlives this process.
  void when_started(const v1::AttemptKey& key, BootTime until, absl::AnyInvocable<void()> done);
  // Calls `done` when the attempt has ended, and at `until` at the latest.
  void when_ended(const v1::AttemptKey& key, BootTime until, absl::AnyInvocable<void()> done);

 private:
  using Key = std::pair<std::string, uint32_t>;
  class Calls;
  friend class Calls;
  struct Waiter {
    Key key;
    bool for_start = false;
    BootTime until;
    absl::AnyInvocable<void()> done;
  };

  [[nodiscard]] bool is_go_work() const { return options_.protocol == v1::Worker::GO_WORK; }
  void connect();
  void registered(const absl::Status& status, const std::string& worker_id);
  void heartbeat();
  void heartbeat_answered(const absl::Status& status);
  void note_end(const v1::AttemptKey& key, const v1::JobEnd& end);
  void tell_next_end();
  void end_told(const absl::Status& status);
  void acknowledge(const v1::AttemptKey& key);
  void prune(BootTime now);
  void watch_connection(BootTime now);
  void call_waiters(BootTime now);
  void settled(const Key& key);
  void finish_stop();

  const OriginalOptions options_;
  EventLoop& core_;
  const Clock& clock_;
  SessionOwner owner_;
  std::unique_ptr<Calls> calls_;

  bool started_ = false;
  bool leaving_ = false;
  bool registering_ = false;
  absl::AnyInvocable<void()> when_registered_;  // of a deregistration that waits for it
  bool is_member_ = false;
  bool disconnected_ = false;  // jobscheduler: the connection broke since the registration
  std::string worker_id_;      // as given by the scheduler
  size_t next_address_ = 0;
  uint32_t failures_ = 0;
  std::string last_error_;
  BootTime next_try_;
  BootTime next_heartbeat_;
  bool heartbeat_under_way_ = false;
  BootTime next_look_;  // at the connection

  std::set<Key> live_;
  std::set<Key> started_attempts_;  // of the live ones
  uint32_t last_attempt_ = 0;
  std::deque<std::pair<v1::AttemptKey, v1::JobEnd>> untold_;  // go-work: ends to be told, in order
  bool telling_ = false;
  BootTime next_tell_;
  std::deque<std::pair<BootTime, v1::AttemptKey>> ended_;  // jobscheduler: may still be queried
  std::vector<Waiter> waiters_;
  std::set<grpc::ClientContext*> under_way_;  // of calls, each owned by its call
  absl::AnyInvocable<void()> on_stopped_;
};

}  // namespace clusterd
