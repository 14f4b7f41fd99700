#include "worker/original_membership.h"

#include <grpcpp/client_context.h>

#include <algorithm>

#include "compat/cluster.grpc.pb.h"
#include "compat/jobscheduler.grpc.pb.h"
#include "compat/scheduler.grpc.pb.h"
#include "core/log.h"
#include "core/original_words.h"
#include "core/worker_protocol.h"
#include "rpc/grpc_status.h"
#include "rpc/original_channel.h"
#include "worker/task_key.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace members = ::cluster::v1;
namespace tasks = ::scheduler::v1;

constexpr milliseconds kFirstRetry(200);
constexpr uint32_t kMostRetryDoublings = 5;
constexpr seconds kCallDeadline(5);
constexpr seconds kLeaveDeadline(1);
constexpr seconds kHeartbeatInterval(15);
constexpr seconds kLookInterval(1);
constexpr size_t kMostEnds = 10'000;

}  // namespace

// The calls to the scheduler. One object for each connection; what is under way outlives it.
class OriginalMembership::Calls {
 public:
  Calls(OriginalMembership& owner, const std::string& address)
      : owner_(owner),
        channel_(make_original_channel(address, owner.options_.credentials())),
        jobscheduler_(jobscheduler::Scheduler::NewStub(channel_)),
        leader_(members::LeaderService::NewStub(channel_)),
        task_channel_(owner.is_go_work() ? make_original_channel(owner.options_.task_addr,
                                                                 owner.options_.credentials())
                                         : channel_),
        tasks_(tasks::SchedulerService::NewStub(task_channel_)) {}

  template <typename Response>
  using Done = absl::AnyInvocable<void(const absl::Status&, const Response&)>;

  void register_worker(const std::string& address, Done<jobscheduler::RegisterRes> done) {
    jobscheduler::RegisterReq request;
    request.set_address(address);
    start<jobscheduler::RegisterReq, jobscheduler::RegisterRes>(
        kCallDeadline, std::move(request), std::move(done),
        [this](auto* context, auto* sent, auto* response, auto callback) {
          jobscheduler_->async()->RegisterWorker(context, sent, response, std::move(callback));
        });
  }
  void deregister_worker(const std::string& id, Done<jobscheduler::DeregisterRes> done) {
    jobscheduler::DeregisterReq request;
    request.set_workerid(id);
    start<jobscheduler::DeregisterReq, jobscheduler::DeregisterRes>(
        kLeaveDeadline, std::move(request), std::move(done),
        [this](auto* context, auto* sent, auto* response, auto callback) {
          jobscheduler_->async()->DeregisterWorker(context, sent, response, std::move(callback));
        });
  }
  void join(const std::string& id, const std::string& address, Done<members::JoinResponse> done) {
    members::JoinRequest request;
    request.set_id(id);
    request.set_address(address);
    start<members::JoinRequest, members::JoinResponse>(
        kCallDeadline, std::move(request), std::move(done),
        [this](auto* context, auto* sent, auto* response, auto callback) {
          leader_->async()->Join(context, sent, response, std::move(callback));
        });
  }
  void leave(const std::string& id, Done<members::LeaveResponse> done) {
    members::LeaveRequest request;
    request.set_id(id);
    start<members::LeaveRequest, members::LeaveResponse>(
        kLeaveDeadline, std::move(request), std::move(done),
        [this](auto* context, auto* sent, auto* response, auto callback) {
          leader_->async()->Leave(context, sent, response, std::move(callback));
        });
  }
  void heartbeat(const std::string& id, bool busy, Done<members::HeartbeatResponse> done) {
    members::HeartbeatRequest request;
    request.set_id(id);
    request.set_status(busy ? members::HEARTBEAT_STATUS_BUSY : members::HEARTBEAT_STATUS_IDLE);
    start<members::HeartbeatRequest, members::HeartbeatResponse>(
        kCallDeadline, std::move(request), std::move(done),
        [this](auto* context, auto* sent, auto* response, auto callback) {
          leader_->async()->Heartbeat(context, sent, response, std::move(callback));
        });
  }
  void complete(const std::string& task_id, const std::string& error,
                Done<tasks::TaskCompleteResponse> done) {
    tasks::TaskCompleteRequest request;
    request.set_id(task_id);
    if (!error.empty()) request.set_error(error);
    start<tasks::TaskCompleteRequest, tasks::TaskCompleteResponse>(
        kCallDeadline, std::move(request), std::move(done),
        [this](auto* context, auto* sent, auto* response, auto callback) {
          tasks_->async()->TaskComplete(context, sent, response, std::move(callback));
        });
  }

  // Connects where it is not connected, so that a scheduler that is back is noticed.
  [[nodiscard]] bool is_connected() {
    return channel_->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY;
  }

 private:
  // One call; owned by gRPC's callback, then by the task on the core thread.
  template <typename Request, typename Response>
  struct Call {
    grpc::ClientContext context;
    Request request;
    Response response;
    Done<Response> done;
  };

  template <typename Request, typename Response, typename Method>
  void start(std::chrono::nanoseconds deadline, Request request, Done<Response> done,
             Method method) {
    const auto call = std::make_shared<Call<Request, Response>>();
    call->request = std::move(request);
    call->done = std::move(done);
    call->context.set_deadline(std::chrono::system_clock::now() + deadline);
    owner_.under_way_.insert(&call->context);
    method(&call->context, &call->request, &call->response,
           [owner = &owner_, call](const grpc::Status& status) {
             owner->core_.post([owner, call, status = from_grpc(status)] {
               owner->under_way_.erase(&call->context);
               call->done(status, call->response);
               owner->finish_stop();
             });
           });
  }

  OriginalMembership& owner_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<jobscheduler::Scheduler::Stub> jobscheduler_;
  std::unique_ptr<members::LeaderService::Stub> leader_;
  std::shared_ptr<grpc::Channel> task_channel_;
  std::unique_ptr<tasks::SchedulerService::Stub> tasks_;
};

OriginalMembership::OriginalMembership(OriginalOptions options, EventLoop& core, const Clock& clock,
                                       SessionOwner owner)
    : options_(std::move(options)), core_(core), clock_(clock), owner_(std::move(owner)) {}

OriginalMembership::~OriginalMembership() = default;

MemberSelf OriginalMembership::self() const {
  MemberSelf self{.identity = {}, .name = options_.name, .unique_attempts = false};
  self.identity.set_worker_id(is_go_work() ? options_.name : worker_id_);
  return self;
}

void OriginalMembership::start(const std::string& /*journal_id*/,
                               const std::vector<internal::UnenforcedLimit>& /*unenforced*/) {
  if (leaving_) return;
  if (started_) owner_.on_closed();
  started_ = true;
  live_.clear();
  // That scheduler knows no sessions: this one is between this process and itself.
  for (const v1::HeldAttempt& held : owner_.on_opening(kOriginalEpoch)) {
    const Key key{held.key().job_id(), held.key().attempt()};
    if (held.has_end()) {
      note_end(held.key(), held.end());
    } else {
      live_.insert(key);
    }
  }
  owner_.on_opened(kOriginalEpoch, kOriginalSession);
}

void OriginalMembership::send(v1::SessionRequest news) {
  const bool was_busy = !live_.empty();
  for (const v1::JobEvent& event : news.events().events()) {
    if (event.has_started()) {
      const Key key{event.key().job_id(), event.key().attempt()};
      live_.insert(key);
      started_attempts_.insert(key);
      call_waiters(clock_.now().boot);
    } else if (event.has_ended()) {
      note_end(event.key(), event.ended());
    } else if (event.has_refused()) {
      refused(event.key());
    }
  }
  if (was_busy != !live_.empty()) next_heartbeat_ = clock_.now().boot;
}

void OriginalMembership::note_end(const v1::AttemptKey& key, const v1::JobEnd& end) {
  settled({key.job_id(), key.attempt()});
  const BootTime now = clock_.now().boot;
  if (is_go_work()) {
    const bool known = std::any_of(untold_.begin(), untold_.end(), [&key](const auto& one) {
      return one.first.job_id() == key.job_id() && one.first.attempt() == key.attempt();
    });
    if (!known) untold_.emplace_back(key, end);
    next_tell_ = now;
  } else {
    ended_.emplace_back(now, key);
  }
  call_waiters(now);
}

void OriginalMembership::ordered(const v1::AttemptKey& key) {
  live_.insert({key.job_id(), key.attempt()});
  next_heartbeat_ = clock_.now().boot;
}

void OriginalMembership::refused(const v1::AttemptKey& key) {
  settled({key.job_id(), key.attempt()});
  next_heartbeat_ = clock_.now().boot;
  call_waiters(clock_.now().boot);
}

std::optional<v1::AttemptKey> OriginalMembership::live(const std::string& job_id) const {
  std::optional<v1::AttemptKey> found;
  for (const auto& [id, number] : live_) {
    if (!job_id.empty() && id != job_id) continue;
    found.emplace();
    found->set_job_id(id);
    found->set_attempt(number);
  }
  return found;
}

uint32_t OriginalMembership::next_attempt() {
  // A task may come again after it has ended; seconds tell its runs apart over restarts too.
  const auto now = std::chrono::duration_cast<seconds>(clock_.now().wall.time_since_epoch());
  last_attempt_ = std::max(last_attempt_ + 1, static_cast<uint32_t>(now.count()));
  return last_attempt_;
}

void OriginalMembership::settled(const Key& key) {
  live_.erase(key);
  started_attempts_.erase(key);
}

void OriginalMembership::when_started(const v1::AttemptKey& key, BootTime until,
                                      absl::AnyInvocable<void()> done) {
  const Key wanted{key.job_id(), key.attempt()};
  if (!live_.contains(wanted) || started_attempts_.contains(wanted)) return done();
  waiters_.push_back({wanted, true, until, std::move(done)});
}

void OriginalMembership::when_ended(const v1::AttemptKey& key, BootTime until,
                                    absl::AnyInvocable<void()> done) {
  const Key wanted{key.job_id(), key.attempt()};
  if (!live_.contains(wanted)) return done();
  waiters_.push_back({wanted, false, until, std::move(done)});
}

void OriginalMembership::call_waiters(BootTime now) {
  for (size_t i = 0; i < waiters_.size();) {
    const Waiter& one = waiters_[i];
    const bool waits =
        live_.contains(one.key) && !(one.for_start && started_attempts_.contains(one.key));
    if (waits && now < one.until) {
      ++i;
      continue;
    }
    Waiter waiter = std::move(waiters_[i]);
    waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
    waiter.done();
  }
}

void OriginalMembership::connect() {
  registering_ = true;
  const std::string& address = options_.addresses[next_address_ % options_.addresses.size()];
  if (calls_ == nullptr || failures_ > 0) calls_ = std::make_unique<Calls>(*this, address);
  if (is_go_work()) {
    return calls_->join(options_.name, options_.address,
                        [this](const absl::Status& status, const members::JoinResponse&) {
                          registered(status, options_.name);
                        });
  }
  // It forgets its workers when it is restarted; where it was not, it must not know this one twice.
  if (!worker_id_.empty()) {
    calls_->deregister_worker(worker_id_, [](const absl::Status&, const auto&) {});
  }
  calls_->register_worker(options_.address, [this](const absl::Status& status,
                                                   const jobscheduler::RegisterRes& response) {
    registered(status, response.workerid());
  });
}

void OriginalMembership::registered(const absl::Status& status, const std::string& worker_id) {
  registering_ = false;
  const BootTime now = clock_.now().boot;
  if (leaving_) {
    if (when_registered_ == nullptr) return;
    is_member_ = status.ok();
    worker_id_ = worker_id;
    return deregister(true, std::exchange(when_registered_, nullptr));
  }
  if (!status.ok()) {
    const std::string error = status.ToString();
    if (error != last_error_) {
      log_warning("worker", "cannot join",
                  {{"scheduler", options_.addresses[next_address_ % options_.addresses.size()]},
                   {"protocol", word_of(options_.protocol)},
                   {"error", error}});
    }
    last_error_ = error;
    ++next_address_;
    next_try_ = now + kFirstRetry * (1U << std::min(failures_, kMostRetryDoublings));
    ++failures_;
    return;
  }
  failures_ = 0;
  last_error_.clear();
  is_member_ = true;
  disconnected_ = false;
  worker_id_ = worker_id;
  next_heartbeat_ = now;
  next_look_ = now + kLookInterval;
  log_info("worker", "joined", {{"protocol", word_of(options_.protocol)}, {"id", worker_id}});
}

void OriginalMembership::heartbeat() {
  heartbeat_under_way_ = true;
  next_heartbeat_ = clock_.now().boot + kHeartbeatInterval;
  calls_->heartbeat(options_.name, !live_.empty(),
                    [this](const absl::Status& status, const members::HeartbeatResponse&) {
                      heartbeat_answered(status);
                    });
}

void OriginalMembership::heartbeat_answered(const absl::Status& status) {
  heartbeat_under_way_ = false;
  if (status.ok()) return;
  const BootTime now = clock_.now().boot;
  if (absl::IsNotFound(status)) {  // it was restarted, or gave this member up
    is_member_ = false;
    next_try_ = now;
    return;
  }
  next_heartbeat_ = std::min(next_heartbeat_, now + seconds(1));
}

void OriginalMembership::tell_next_end() {
  const auto& [key, end] = untold_.front();
  const auto task_id = task_of_job_id(key.job_id());
  if (!task_id.ok()) {  // an attempt from when this worker spoke another protocol
    acknowledge(key);
    untold_.pop_front();
    return;
  }
  telling_ = true;
  calls_->complete(
      *task_id, original_error_text(end),
      [this](const absl::Status& status, const tasks::TaskCompleteResponse&) { end_told(status); });
}

void OriginalMembership::end_told(const absl::Status& status) {
  telling_ = false;
  // INVALID_ARGUMENT: it does not know the task, and never will.
  if (!status.ok() && !absl::IsInvalidArgument(status)) {
    next_tell_ = clock_.now().boot + seconds(1);
    return;
  }
  acknowledge(untold_.front().first);
  untold_.pop_front();
}

void OriginalMembership::acknowledge(const v1::AttemptKey& key) {
  v1::SessionResponse message;
  *message.mutable_acknowledged()->add_keys() = key;
  owner_.on_message(message);
}

void OriginalMembership::prune(BootTime now) {
  while (!ended_.empty() &&
         (ended_.size() > kMostEnds || ended_.front().first + options_.keep_ends <= now)) {
    acknowledge(ended_.front().second);
    ended_.pop_front();
  }
}

// That scheduler forgets its workers when it ends, and nothing in its protocol says so but the end
// of the connection.
void OriginalMembership::watch_connection(BootTime now) {
  next_look_ = now + kLookInterval;
  const bool connected = calls_->is_connected();
  if (!connected) {
    disconnected_ = true;
  } else if (disconnected_) {
    is_member_ = false;
    next_try_ = now;
  }
}

std::optional<BootTime> OriginalMembership::on_turn() {
  const BootTime now = clock_.now().boot;
  call_waiters(now);
  if (!started_ || leaving_) return std::nullopt;
  prune(now);
  if (!is_member_ && !registering_ && now >= next_try_) connect();
  if (is_member_ && is_go_work()) {
    if (!heartbeat_under_way_ && now >= next_heartbeat_) heartbeat();
    while (!untold_.empty() && !telling_ && now >= next_tell_) tell_next_end();
  } else if (is_member_ && now >= next_look_) {
    watch_connection(now);
  }
  std::optional<BootTime> deadline;
  const auto consider = [&deadline](BootTime at) {
    deadline = std::min(deadline.value_or(at), at);
  };
  for (const Waiter& waiter : waiters_) consider(waiter.until);
  if (!ended_.empty()) consider(ended_.front().first + options_.keep_ends);
  if (!is_member_ && !registering_) consider(next_try_);
  if (is_member_ && !is_go_work()) consider(next_look_);
  if (is_member_ && is_go_work() && !heartbeat_under_way_) consider(next_heartbeat_);
  if (is_member_ && is_go_work() && !untold_.empty() && !telling_) consider(next_tell_);
  return deadline;
}

void OriginalMembership::deregister(bool /*leaving*/, absl::AnyInvocable<void()> done) {
  leaving_ = true;
  if (registering_) {  // it may be a member already, and not know it
    when_registered_ = std::move(done);
    return;
  }
  if (!is_member_) return done();
  is_member_ = false;
  auto shared = std::make_shared<absl::AnyInvocable<void()>>(std::move(done));
  const auto gone = [shared](const absl::Status& status, const auto&) {
    if (!status.ok()) log_warning("worker", "deregistration failed", {{"error", status}});
    (*shared)();
  };
  if (is_go_work()) {
    calls_->leave(options_.name, gone);
  } else {
    calls_->deregister_worker(worker_id_, gone);
  }
}

void OriginalMembership::stop(absl::AnyInvocable<void()> done) {
  leaving_ = true;
  if (started_) owner_.on_closed();
  started_ = false;
  for (Waiter& waiter : std::exchange(waiters_, {})) waiter.done();
  on_stopped_ = std::move(done);
  for (grpc::ClientContext* context : under_way_) context->TryCancel();
  finish_stop();
}

void OriginalMembership::finish_stop() {
  if (on_stopped_ == nullptr || !under_way_.empty()) return;
  std::exchange(on_stopped_, nullptr)();
}

}  // namespace clusterd
