#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "core/clock.h"

namespace clusterd {

// A call to a worker of one of the original protocols; answered() brings its outcome.
struct OriginalCall {
  enum class Kind {
    kProbe,  // does it answer? with `remote_id`: and does it know this job?
    kStart,
    kQuery,
    kStop,
  };
  uint64_t id = 0;
  Kind kind = Kind::kProbe;
  std::string remote_id;
  v1::JobSpec spec;  // of kStart
};

// What a call brought; each kind uses what it needs.
struct OriginalAnswer {
  std::string remote_id;
  bool done = false;
  bool error = false;
  std::string error_text;
};

// What a go-work worker says of itself.
enum class OriginalStatus { kUnknown, kIdle, kBusy, kFailed };

// Opens, uses and closes the worker's session with the scheduler.
struct OpenSession {
  v1::SessionHello hello;
};
struct SayInSession {
  v1::SessionRequest message;
};
struct CloseSession {};

// Ends a StartJobs or StopJobs that came over the link. `verdicts` counts where the status is OK.
struct AnswerOrder {
  uint64_t order = 0;
  absl::Status status;
  v1::StartJobsResponse verdicts;
};

// Another process answers at the worker's address: this one is gone for good.
struct WorkerGone {
  std::string reason;
};

using OriginalEffect =
    std::variant<OriginalCall, OpenSession, SayInSession, CloseSession, AnswerOrder, WorkerGone>;

// Plays a worker of one of the two earlier systems towards the scheduler: turns what it can be
// asked, and what it says, into the session, the events and the verdicts of a worker of ours.
//
// Such a worker has no session and no journal: it is probed and its jobs are asked for, with
// growing pauses; an order is sent only right after it has answered, and one whose outcome is not
// known is never sent again. One that refuses connections is out of reach at once; when it answers
// again it must know its last job, or stay quiet for a while, since a new process at its address is
// a worker of its own. Holds no socket, timer or clock. Owned by OriginalWorkers; core thread only.
class OriginalWorker {
 public:
  struct Settings {
    v1::Worker::Protocol protocol = v1::Worker::JOBSCHEDULER;
    std::chrono::nanoseconds probe_interval{};
    std::chrono::nanoseconds heartbeat_timeout{};  // go-work: silence after which it has left
    std::chrono::nanoseconds lost_after{};
    uint64_t epoch = 0;
  };

  // `held`: what it runs, as far as the scheduler's records tell; not empty, or `remembered`: it
  // was a member before this term began.
  OriginalWorker(std::string worker_id, Settings settings, std::vector<v1::HeldAttempt> held,
                 bool remembered, Now now);

  // ---- orders of the scheduler; each start and stop is answered by one AnswerOrder
  // `remote_ids`: by what names a go-work worker is told of the attempts.
  void start(uint64_t order, const v1::StartJobsRequest& request,
             const std::vector<std::string>& remote_ids, Now now);
  void stop(uint64_t order, const v1::StopJobsRequest& request, Now now);
  // UNAVAILABLE says why it cannot be given jobs now.
  [[nodiscard]] absl::Status identify(Now now) const;

  // ---- the session
  void told(const v1::SessionResponse& message, Now now);
  // By the scheduler.
  void session_closed(Now now);

  // ---- the worker
  void answered(uint64_t call, const absl::StatusOr<OriginalAnswer>& answer, Now now);
  // A heartbeat of a go-work worker.
  void heard(OriginalStatus status, Now now);
  // The scheduler has been told otherwise how this attempt ended.
  void forget(const v1::AttemptKey& key);

  void tick(Now now);
  [[nodiscard]] std::optional<BootTime> next_deadline() const;
  [[nodiscard]] std::vector<OriginalEffect> take_effects();

  // "alive, idle" and so on, as go-work's Members says it.
  [[nodiscard]] std::string member_status(Now now) const;

 private:
  using Key = std::pair<std::string, uint32_t>;
  enum class Phase {
    kWaiting,   // to be sent when it has answered a probe
    kStarting,  // sent
    kUnsure,    // sent, and nobody knows whether it arrived
    kRunning,
    kEnded,  // until acknowledged
  };
  struct Held {
    v1::HeldAttempt attempt;
    v1::JobSpec spec;
    Phase phase = Phase::kWaiting;
    uint64_t order = 0;    // to be answered
    uint64_t session = 0;  // under which it was ordered
    bool stop_wanted = false;
    bool stop_sent = false;  // and it answered
    bool call_under_way = false;
    bool fenced = false;      // nobody wants to know how it ends
    int idle_heartbeats = 0;  // since it runs
    std::chrono::nanoseconds pause{};
    BootTime next_call;
  };
  struct Order {
    std::vector<Key> keys;
    std::map<Key, absl::Status> verdicts;
  };
  struct PendingCall {
    OriginalCall::Kind kind = OriginalCall::Kind::kProbe;
    Key key;  // of all but kProbe
    std::string remote_id;
  };

  // original_worker.cc
  [[nodiscard]] bool is_go_work() const { return settings_.protocol == v1::Worker::GO_WORK; }
  [[nodiscard]] bool is_heard(Now now) const;
  [[nodiscard]] bool may_open(Now now) const;
  void open_session(Now now);
  void close_session(Now now);
  void say(v1::SessionRequest message);
  void say_alive(Now now);
  void add_event(v1::JobEvent event, const Held& held, Now now);
  [[nodiscard]] std::string occupation() const;
  void settle(uint64_t order, const Key& key, const absl::Status& verdict);
  void send_waiting(Now now);
  void fail_waiting(const absl::Status& why);
  void began(Held& held, const std::string& remote_id, Now now);
  void ended(const Key& key, v1::JobEnd end, Now now);
  // original_worker_calls.cc
  void call(OriginalCall::Kind kind, const Key& key, const std::string& remote_id,
            const v1::JobSpec* spec);
  void probe(Now now);
  void in_touch(Now now);
  void out_of_touch(const absl::Status& why, Now now);
  void probed(const PendingCall& pending, const absl::Status& status, Now now);
  void start_answered(const PendingCall& pending, const absl::StatusOr<OriginalAnswer>& answer,
                      Now now);
  void query_answered(const Key& key, const absl::StatusOr<OriginalAnswer>& answer, Now now);
  void stop_answered(const Key& key, const absl::Status& status, Now now);
  void ask_after(const Key& key, Held& held, Now now);

  const std::string worker_id_;
  const Settings settings_;
  std::map<Key, Held> attempts_;
  std::map<uint64_t, Order> orders_;
  std::map<uint64_t, PendingCall> calls_;
  uint64_t last_call_ = 0;

  enum class Touch { kNever, kIn, kOut };
  Touch touch_ = Touch::kNever;
  bool dead_ = false;      // never asked again
  bool doubtful_ = false;  // may be another process than before
  bool probing_ = false;
  uint32_t failures_ = 0;
  std::string fault_;  // why it was last out of touch
  BootTime last_touch_;
  BootTime next_probe_;
  std::optional<BootTime> quiet_until_;
  std::string known_id_;  // a job that only this process knows

  enum class Session { kClosed, kOpening, kOpen };
  Session session_phase_ = Session::kClosed;
  uint64_t session_ = 0;
  BootTime next_open_;
  BootTime next_say_;
  std::vector<v1::JobEvent> events_;  // since the hello, until the welcome

  bool stale_ = false;  // go-work: its heartbeats have stopped
  OriginalStatus status_ = OriginalStatus::kUnknown;
  std::optional<BootTime> last_heartbeat_;
  std::string finished_id_;  // go-work: its last task, which it may not have put down

  std::vector<OriginalEffect> effects_;
};

}  // namespace clusterd
