#include "worker/session_client.h"

#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/log.h"
#include "core/proto_time.h"
#include "rpc/credentials.h"
#include "rpc/grpc_status.h"
#include "worker/worker_files.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstRetry(100);
constexpr milliseconds kLastRetry(2000);
constexpr seconds kAnswerTimeout(10);
constexpr seconds kDeregisterTimeout(1);
constexpr milliseconds kShortestHeartbeat(10);
constexpr int kMaxEventsInMessage = 1000;

}  // namespace

struct SessionClient::Registration {
  grpc::ClientContext context;
  v1::RegisterWorkerRequest request;
  v1::RegisterWorkerResponse response;
};

SessionClient::SessionClient(SessionOptions options, EventLoop& core, EventLoop& files,
                             const Clock& clock, SessionOwner owner)
    : options_(std::move(options)),
      core_(core),
      files_(files),
      clock_(clock),
      owner_(std::move(owner)),
      membership_(options_.kept),
      jitter_(std::random_device{}()) {}

const std::string& SessionClient::address() const {
  return options_.addresses[next_address_ % options_.addresses.size()];
}

void SessionClient::start(const std::string& journal_id,
                          const std::vector<internal::UnenforcedLimit>& unenforced) {
  auto& known = *options_.offer.mutable_unenforced_limits();
  bool same = options_.offer.identity().journal_id() == journal_id;
  same = same && std::equal(known.begin(), known.end(), unenforced.begin(), unenforced.end(),
                            [](const std::string& name, const internal::UnenforcedLimit& limit) {
                              return name == limit.field();
                            });
  options_.offer.mutable_identity()->set_journal_id(journal_id);
  known.Clear();
  for (const internal::UnenforcedLimit& limit : unenforced) *known.Add() = limit.field();
  if (phase_ == Phase::kIdle) return connect();
  if (same || phase_ == Phase::kStopped || phase_ == Phase::kWaiting) return;
  retry(absl::AbortedError("the launcher is another one"));
}

void SessionClient::connect() {
  phase_ = Phase::kRegistering;
  const uint64_t attempt = ++attempt_;
  stub_ = v1::ClusterService::NewStub(make_channel(address(), options_.credentials()));
  registration_ = std::make_shared<Registration>();
  v1::RegisterWorkerRequest& request = registration_->request;
  request = options_.offer;
  request.mutable_identity()->set_worker_id(membership_.worker_id());
  request.set_secret(membership_.secret());
  if (!request.name_is_configured() && !membership_.name().empty()) {
    request.set_name(membership_.name());
  }
  registration_->context.set_deadline(std::chrono::system_clock::now() + kAnswerTimeout);
  ++calls_;
  stub_->async()->RegisterWorker(&registration_->context, &registration_->request,
                                 &registration_->response,
                                 [this, attempt, call = registration_](const grpc::Status& status) {
                                   core_.post([this, attempt, call, error = from_grpc(status)] {
                                     --calls_;
                                     on_registered(attempt, error, call->response);
                                   });
                                 });
}

void SessionClient::on_registered(uint64_t attempt, const absl::Status& status,
                                  const v1::RegisterWorkerResponse& response) {
  if (phase_ == Phase::kStopped) return finish_stop();
  if (attempt != attempt_ || phase_ != Phase::kRegistering) return;
  registration_.reset();
  if (!status.ok()) return retry(status);
  if (response.epoch() < membership_.epoch()) {
    return retry(absl::FailedPreconditionError(
        "the scheduler is of epoch " + std::to_string(response.epoch()) + ", epoch " +
        std::to_string(membership_.epoch()) + " has been seen"));
  }
  const bool changed = response.SerializeAsString() != membership_.SerializeAsString();
  membership_ = response;
  options_.offer.mutable_identity()->set_worker_id(response.worker_id());
  if (!changed) return open();
  // No command of this epoch is obeyed before the disk knows it.
  phase_ = Phase::kKeeping;
  files_.post([this, attempt, membership = membership_, data_dir = options_.data_dir] {
    const absl::Status written = write_identity(data_dir, membership);
    core_.post([this, attempt, written] { on_membership_kept(attempt, written); });
  });
}

void SessionClient::on_membership_kept(uint64_t attempt, const absl::Status& status) {
  if (attempt != attempt_ || phase_ != Phase::kKeeping) return;
  if (!status.ok()) return retry(status);
  open();
}

void SessionClient::open() {
  phase_ = Phase::kOpening;
  opening_since_ = clock_.now().boot;
  session_ = 0;
  writing_ = true;
  broken_ = false;
  heartbeat_due_ = false;
  unanswered_since_.reset();
  unanswered_.clear();
  pending_.clear();
  const uint64_t attempt = attempt_;
  SessionStreamObserver observer;
  observer.on_message = [this, attempt](v1::SessionResponse message) {
    core_.post([this, attempt, m = std::move(message)] { on_message(attempt, m); });
  };
  observer.on_written = [this, attempt] { core_.post([this, attempt] { on_written(attempt); }); };
  observer.on_broken = [this, attempt] { core_.post([this, attempt] { on_broken(attempt); }); };
  observer.on_done = [this, attempt](absl::Status status) {
    core_.post([this, attempt, status] { on_stream_done(attempt, status); });
  };
  auto& stream = streams_[attempt];
  stream = std::make_unique<ClientSessionStream>(std::move(observer));
  stream->start(*stub_);
  v1::SessionRequest hello;
  hello.set_epoch(membership_.epoch());
  *hello.mutable_hello()->mutable_identity() = options_.offer.identity();
  hello.mutable_hello()->set_secret(membership_.secret());
  for (v1::HeldAttempt& held : owner_.on_opening(membership_.epoch())) {
    *hello.mutable_hello()->add_inventory() = std::move(held);
  }
  stream->write(std::move(hello));
}

void SessionClient::on_message(uint64_t attempt, const v1::SessionResponse& message) {
  if (attempt != attempt_) return;
  if (phase_ == Phase::kOpening && message.has_welcome()) {
    const v1::SessionWelcome& welcome = message.welcome();
    if (welcome.epoch() != membership_.epoch()) {
      return retry(absl::AbortedError("the scheduler's epoch changed while the session opened"));
    }
    phase_ = Phase::kOpen;
    session_ = welcome.session();
    failures_ = 0;
    last_error_.clear();
    next_heartbeat_ = clock_.now().boot;
    log_info("worker", "session opened",
             {{"scheduler", address()},
              {"worker_id", membership_.worker_id()},
              {"name", membership_.name()},
              {"epoch", welcome.epoch()},
              {"session", session_}});
    owner_.on_contact(opening_since_);
    owner_.on_opened(welcome.epoch(), session_);
    // The registration before made it a worker like any other.
    if (draining_) tell_leaving(/*leaving=*/false, [] {});
    return;
  }
  const bool current = phase_ == Phase::kOpen && message.epoch() == membership_.epoch() &&
                       message.session() == session_;
  if (!current) return;
  unanswered_since_.reset();
  if (message.has_heartbeat()) heartbeat_answered(message.heartbeat().number());
  owner_.on_message(message);
}

// The scheduler's clock of silence began anew when it heard the heartbeat, which was no earlier
// than it was sent; when its answer arrives says nothing.
void SessionClient::heartbeat_answered(uint64_t number) {
  std::optional<BootTime> sent;
  while (!unanswered_.empty() && unanswered_.front().first <= number) {
    sent = unanswered_.front().second;
    unanswered_.pop_front();
  }
  if (sent) owner_.on_contact(*sent);
}

void SessionClient::on_written(uint64_t attempt) {
  if (attempt != attempt_) return;
  writing_ = false;
  pump();
}

void SessionClient::on_broken(uint64_t attempt) {
  const auto stream = streams_.find(attempt);
  if (attempt == attempt_) broken_ = true;
  if (stream != streams_.end()) stream->second->close();
}

void SessionClient::on_stream_done(uint64_t attempt, const absl::Status& status) {
  streams_.erase(attempt);
  if (phase_ == Phase::kStopped) return finish_stop();
  const bool current = attempt == attempt_ && (phase_ == Phase::kOpening || phase_ == Phase::kOpen);
  if (current) retry(status.ok() ? absl::UnavailableError("the scheduler closed it") : status);
}

void SessionClient::retry(const absl::Status& why) {
  const bool had_session = phase_ == Phase::kOpening || phase_ == Phase::kOpen;
  std::string error = why.ToString();
  if (error.find("http1.x server") != std::string::npos) {  // gRPC's words
    error +=
        "; scheduler.addr = \"" + address() +
        "\": the port may be its HTTP address; give the gRPC address, [grpc_server] addr of the "
        "scheduler, by default port 50000";
  }
  if (error != last_error_) {  // once for each cause, not for each attempt
    log_warning(
        "worker", had_session ? "session lost" : "cannot join",
        {{"scheduler", address()},
         {"worker_id", LogValue::unless_empty(membership_.worker_id())},
         {"session", phase_ == Phase::kOpen ? LogValue(session_) : LogValue::unless_empty("")},
         {"error", error}});
  }
  last_error_ = error;
  const auto stream = streams_.find(attempt_);
  if (stream != streams_.end()) stream->second->close();
  ++attempt_;
  ++next_address_;
  const auto longest = std::min<std::chrono::nanoseconds>(
      kLastRetry, kFirstRetry * (int64_t{1} << std::min<uint64_t>(failures_, 10)));
  ++failures_;
  const double share = std::uniform_real_distribution<double>(0.5, 1.0)(jitter_);
  retry_at_ =
      clock_.now().boot +
      std::chrono::nanoseconds(static_cast<int64_t>(share * static_cast<double>(longest.count())));
  phase_ = leaving_ ? Phase::kStopped : Phase::kWaiting;
  pending_.clear();
  if (had_session) owner_.on_closed();
}

void SessionClient::send(v1::SessionRequest news) {
  if (phase_ != Phase::kOpen) return;  // the next session tells it
  if (news.has_events()) return send_events(std::move(*news.mutable_events()));
  pending_.push_back(std::move(news));
}

MemberSelf SessionClient::self() const {
  MemberSelf self{.identity = options_.offer.identity(), .name = membership_.name()};
  self.identity.set_worker_id(membership_.worker_id());
  return self;
}

void SessionClient::send_events(v1::JobEvents events) {
  const bool joins =
      !pending_.empty() && pending_.back().has_events() &&
      pending_.back().events().events_size() + events.events_size() <= kMaxEventsInMessage;
  if (!joins) pending_.emplace_back().mutable_events();
  for (v1::JobEvent& event : *events.mutable_events()) {
    *pending_.back().mutable_events()->add_events() = std::move(event);
  }
}

void SessionClient::pump() {
  if (phase_ != Phase::kOpen || writing_ || broken_) return;
  v1::SessionRequest request;
  if (!pending_.empty()) {
    request = std::move(pending_.front());
    pending_.pop_front();
  } else if (heartbeat_due_) {
    heartbeat_due_ = false;
    *request.mutable_heartbeat() = owner_.make_heartbeat();
    request.mutable_heartbeat()->set_number(++heartbeat_number_);
    unanswered_.emplace_back(heartbeat_number_, clock_.now().boot);
  } else {
    return;
  }
  write(std::move(request));
}

void SessionClient::write(v1::SessionRequest request) {
  request.set_epoch(membership_.epoch());
  request.set_session(session_);
  writing_ = true;
  streams_.at(attempt_)->write(std::move(request));
}

std::optional<BootTime> SessionClient::on_turn() {
  const BootTime now = clock_.now().boot;
  if (phase_ == Phase::kWaiting) {
    if (now < retry_at_) return retry_at_;
    connect();
  }
  if (phase_ == Phase::kOpening) {
    if (now < opening_since_ + kAnswerTimeout) return opening_since_ + kAnswerTimeout;
    retry(absl::DeadlineExceededError("no welcome within 10 s"));
    return retry_at_;
  }
  if (phase_ != Phase::kOpen) return std::nullopt;
  if (unanswered_since_ && now >= *unanswered_since_ + kAnswerTimeout) {
    retry(absl::DeadlineExceededError("no answer within 10 s"));
    return retry_at_;
  }
  if (now >= next_heartbeat_) {
    heartbeat_due_ = true;
    if (!unanswered_since_) unanswered_since_ = now;
    next_heartbeat_ = now + std::max<std::chrono::nanoseconds>(
                                from_proto(membership_.heartbeat_interval()), kShortestHeartbeat);
  }
  pump();
  if (!unanswered_since_) return next_heartbeat_;
  return std::min(next_heartbeat_, *unanswered_since_ + kAnswerTimeout);
}

void SessionClient::deregister(bool leaving, absl::AnyInvocable<void()> done) {
  leaving_ = leaving_ || leaving;
  draining_ = !leaving;
  if (phase_ != Phase::kOpen) {
    if (leaving) close();  // else the next session says so
    return done();
  }
  tell_leaving(leaving, std::move(done));
}

void SessionClient::tell_leaving(bool leaving, absl::AnyInvocable<void()> done) {
  struct Call {
    grpc::ClientContext context;
    v1::DeregisterWorkerRequest request;
    v1::DeregisterWorkerResponse response;
    absl::AnyInvocable<void()> done;
  };
  const auto call = std::make_shared<Call>();  // owned by gRPC's callback, then by the task
  call->done = std::move(done);
  call->request.set_worker_id(membership_.worker_id());
  call->request.set_secret(membership_.secret());
  call->request.set_leaving(leaving);
  call->context.set_deadline(std::chrono::system_clock::now() + kDeregisterTimeout);
  ++calls_;
  stub_->async()->DeregisterWorker(
      &call->context, &call->request, &call->response, [this, call](const grpc::Status& status) {
        core_.post([this, call, error = from_grpc(status)] {
          --calls_;
          if (!error.ok()) {
            log_warning("worker", "deregistration failed",
                        {{"worker_id", membership_.worker_id()}, {"error", error}});
          }
          call->done();
          if (phase_ == Phase::kStopped) finish_stop();
        });
      });
}

void SessionClient::stop(absl::AnyInvocable<void()> done) {
  on_stopped_ = std::move(done);
  close();
  finish_stop();
}

void SessionClient::close() {
  const bool had_session = phase_ == Phase::kOpening || phase_ == Phase::kOpen;
  phase_ = Phase::kStopped;
  if (registration_ != nullptr) registration_->context.TryCancel();
  for (auto& [attempt, stream] : streams_) stream->close();
  if (had_session) owner_.on_closed();
}

void SessionClient::finish_stop() {
  if (on_stopped_ == nullptr || calls_ > 0 || !streams_.empty()) return;
  std::exchange(on_stopped_, nullptr)();
}

}  // namespace clusterd
