#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "clusterd/internal/launcher.pb.h"
#include "core/clock.h"
#include "core/event_loop.h"
#include "worker/membership.h"
#include "worker/session_stream.h"

namespace grpc {
class ChannelCredentials;
}

namespace clusterd {

// What the worker presents to the scheduler.
struct SessionOptions {
  std::vector<std::string> addresses;  // tried in turn
  // What the next connection shows and demands.
  std::function<std::shared_ptr<grpc::ChannelCredentials>()> credentials;
  std::string data_dir;             // of identity.pb
  v1::RegisterWorkerRequest offer;  // identity without journal, name, address, labels, capacity
  v1::RegisterWorkerResponse kept;  // as read from identity.pb
};

// What a SessionClient asks of its owner, on the core thread.
struct SessionOwner {
  absl::AnyInvocable<std::vector<v1::HeldAttempt>(uint64_t epoch)> on_opening;
  absl::AnyInvocable<void(uint64_t epoch, uint64_t session)> on_opened;
  absl::AnyInvocable<void(const v1::SessionResponse&)> on_message;  // of the current session
  // The scheduler has heard what was sent at that time.
  absl::AnyInvocable<void(BootTime sent)> on_contact;
  absl::AnyInvocable<void()> on_closed;
  absl::AnyInvocable<v1::Heartbeat()> make_heartbeat;
};

// Keeps this worker a member of a scheduler of ours: registers, opens the session, sends heartbeats
// and events, and begins anew, with the next address, whenever the scheduler is not heard for 10 s.
//
// Owned by WorkerCore; core thread only. Ends by stop(), whose callback is the last thing it does.
class SessionClient final : public Membership {
 public:
  // `core` is the loop that this runs on, `files` may block; both and `clock` outlive this.
  SessionClient(SessionOptions options, EventLoop& core, EventLoop& files, const Clock& clock,
                SessionOwner owner);

  // A new session also where what of limits cannot be enforced is another than before.
  void start(const std::string& journal_id,
             const std::vector<internal::UnenforcedLimit>& unenforced) override;
  void send(v1::SessionRequest news) override;
  [[nodiscard]] std::optional<BootTime> on_turn() override;
  // Where a session is open.
  void deregister(bool leaving, absl::AnyInvocable<void()> done) override;
  void stop(absl::AnyInvocable<void()> done) override;
  [[nodiscard]] MemberSelf self() const override;

 private:
  enum class Phase { kIdle, kWaiting, kRegistering, kKeeping, kOpening, kOpen, kStopped };
  struct Registration;

  void connect();
  void on_registered(uint64_t attempt, const absl::Status& status,
                     const v1::RegisterWorkerResponse& response);
  void on_membership_kept(uint64_t attempt, const absl::Status& status);
  void open();
  void on_message(uint64_t attempt, const v1::SessionResponse& message);
  void heartbeat_answered(uint64_t number);
  void on_written(uint64_t attempt);
  void on_broken(uint64_t attempt);
  void on_stream_done(uint64_t attempt, const absl::Status& status);
  // Gives up what was tried and waits, longer each time, before the next address is tried.
  void retry(const absl::Status& why);
  void send_events(v1::JobEvents events);
  void pump();
  void write(v1::SessionRequest request);
  // Ends what is open or under way; nothing is begun any more.
  void tell_leaving(bool leaving, absl::AnyInvocable<void()> done);
  void close();
  void finish_stop();
  [[nodiscard]] const std::string& address() const;

  SessionOptions options_;
  EventLoop& core_;
  EventLoop& files_;
  const Clock& clock_;
  SessionOwner owner_;
  v1::RegisterWorkerResponse membership_;
  std::minstd_rand jitter_;

  Phase phase_ = Phase::kIdle;
  bool leaving_ = false;   // deregistered: no further session
  bool draining_ = false;  // OFFLINE in each session, until it leaves
  uint64_t attempt_ = 0;   // what is not of the current attempt is ignored
  uint64_t failures_ = 0;
  size_t next_address_ = 0;
  std::string last_error_;
  BootTime retry_at_;
  BootTime opening_since_;
  std::unique_ptr<v1::ClusterService::StubInterface> stub_;
  // Both this and gRPC's callback own a call: it must outlive the later of the two.
  std::shared_ptr<Registration> registration_;
  std::map<uint64_t, std::unique_ptr<ClientSessionStream>>
      streams_;    // closed ones until they are done
  int calls_ = 0;  // unary ones under way
  absl::AnyInvocable<void()> on_stopped_;

  uint64_t session_ = 0;
  bool writing_ = false;
  bool broken_ = false;  // by the other end; its status follows
  std::deque<v1::SessionRequest> pending_;
  std::deque<std::pair<uint64_t, BootTime>> unanswered_;  // heartbeats: number, when sent
  BootTime next_heartbeat_;
  bool heartbeat_due_ = false;
  uint64_t heartbeat_number_ = 0;
  std::optional<BootTime> unanswered_since_;
};

}  // namespace clusterd
