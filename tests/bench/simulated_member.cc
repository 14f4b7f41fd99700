#include "bench/simulated_member.h"

#include "absl/strings/str_cat.h"
#include "core/ids.h"
#include "core/proto_time.h"

namespace clusterd::bench {
namespace {

constexpr size_t kMostParked = 1000;

std::pair<std::string, uint32_t> id_of(const v1::AttemptKey& key) {
  return {key.job_id(), key.attempt()};
}

v1::JobEnd end_of(v1::JobEnd::Reason reason) {
  v1::JobEnd end;
  end.set_reason(reason);
  end.add_outputs()->set_stream(v1::OutputStream::MERGED);
  if (reason == v1::JobEnd::EXITED) end.set_exit_code(0);
  return end;
}

}  // namespace

SimulatedMember::SimulatedMember(SessionOptions options, EventLoop& core, EventLoop& files,
                                 const Clock& clock, FleetTotals& totals, Observer observer)
    : clock_(clock),
      totals_(totals),
      observer_(std::move(observer)),
      client_(std::move(options), core, files, clock, session_owner()) {}

SessionOwner SimulatedMember::session_owner() {
  return {
      .on_opening =
          [this](uint64_t /*epoch*/) {
            phase_ = Phase::kOpening;
            called_back_ = false;
            return inventory();
          },
      .on_opened = [this](uint64_t epoch, uint64_t session) { on_opened(epoch, session); },
      .on_message = [this](const v1::SessionResponse& message) { on_message(message); },
      .on_contact = [](BootTime /*sent*/) {},  // nothing here has a fence
      .on_closed = [this] { on_closed(); },
      .make_heartbeat =
          [this] {
            v1::Heartbeat heartbeat;
            heartbeat.set_load(0.5);
            heartbeat.set_output_free_bytes(1ULL << 40);
            heartbeat.set_jobs(static_cast<uint32_t>(attempts_.size()));
            return heartbeat;
          },
  };
}

void SimulatedMember::join() { client_.start(new_uuid_v4(), {}); }

void SimulatedMember::on_turn() { (void)client_.on_turn(); }

void SimulatedMember::leave(absl::AnyInvocable<void()> done) {
  client_.deregister(/*leaving=*/true,
                     [this, done = std::move(done)]() mutable { client_.stop(std::move(done)); });
}

void SimulatedMember::on_opened(uint64_t epoch, uint64_t session) {
  phase_ = Phase::kOpen;
  epoch_ = epoch;
  session_ = session;
  ++totals_.sessions;
  if (called_back_) {  // that call overtook the welcome
    ++totals_.members;
    observer_.on_member();
  }
  for (auto& order : std::exchange(parked_, {})) order();
  on_turn();
}

void SimulatedMember::on_closed() {
  if (phase_ == Phase::kOpen) {
    --totals_.sessions;
    ++totals_.sessions_lost;
    if (called_back_) --totals_.members;
  }
  phase_ = Phase::kIdle;
  called_back_ = false;
  for (auto& order : std::exchange(parked_, {})) order();  // they are refused
}

void SimulatedMember::on_message(const v1::SessionResponse& message) {
  for (const v1::AttemptKey& key : message.acknowledged().keys()) forget(key, true);
  for (const v1::AttemptKey& key : message.fenced().keys()) forget(key, false);
  if (message.delete_outputs().job_ids().empty()) return;
  v1::SessionRequest answer;
  *answer.mutable_outputs_deleted()->mutable_job_ids() = message.delete_outputs().job_ids();
  client_.send(std::move(answer));
  on_turn();
}

std::vector<v1::HeldAttempt> SimulatedMember::inventory() const {
  std::vector<v1::HeldAttempt> all;
  all.reserve(attempts_.size());
  for (const auto& [id, held] : attempts_) all.push_back(held);
  return all;
}

v1::WorkerIdentity SimulatedMember::identify() {
  if (!std::exchange(called_back_, true) && phase_ == Phase::kOpen) {
    ++totals_.members;
    observer_.on_member();
  }
  return client_.self().identity;
}

template <typename Request, typename Response>
void SimulatedMember::obey(Request request, Done<Response> done,
                           Response (SimulatedMember::*order)(const Request&)) {
  if (phase_ == Phase::kOpening && parked_.size() < kMostParked) {
    parked_.emplace_back([this, request = std::move(request), done = std::move(done),
                          order]() mutable { obey(std::move(request), std::move(done), order); });
    return;
  }
  if (phase_ == Phase::kOpen && request.epoch() == epoch_ && request.session() == session_) {
    return done((this->*order)(request));
  }
  ++totals_.refused;
  done(absl::FailedPreconditionError(absl::StrCat("the order is of session ", request.session(),
                                                  ", the current one is ", session_)));
}

void SimulatedMember::start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done) {
  obey(std::move(request), std::move(done), &SimulatedMember::begin_all);
}

void SimulatedMember::stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done) {
  obey(std::move(request), std::move(done), &SimulatedMember::stop_all);
}

v1::StartJobsResponse SimulatedMember::begin_all(const v1::StartJobsRequest& request) {
  v1::StartJobsResponse response;
  v1::JobEvents events;
  for (const v1::StartAttempt& attempt : request.attempts()) {
    *response.add_verdicts()->mutable_key() = attempt.key();
    begin(attempt.key(), events);
  }
  tell(std::move(events));
  return response;
}

void SimulatedMember::begin(const v1::AttemptKey& key, v1::JobEvents& events) {
  const auto [place, is_new] = attempts_.try_emplace(id_of(key));
  if (!is_new) return;  // a repetition
  v1::HeldAttempt& held = place->second;
  *held.mutable_key() = key;
  held.set_started(true);
  *held.mutable_start_time() = to_proto(clock_.now().wall);
  held.set_output_path(absl::StrCat("/simulated/", key.job_id(), "/", key.attempt()));
  ++totals_.running;
  ++totals_.started;
  v1::JobEvent& event = *events.add_events();
  *event.mutable_key() = key;
  *event.mutable_time() = held.start_time();
  event.mutable_started()->set_output_path(held.output_path());
  if (observer_.on_started) {
    observer_.on_started(key);
  } else {
    finish(held, v1::JobEnd::EXITED, events);
  }
}

v1::StopJobsResponse SimulatedMember::stop_all(const v1::StopJobsRequest& request) {
  v1::JobEvents events;
  for (const v1::AttemptKey& key : request.keys()) {
    const auto [place, is_new] = attempts_.try_emplace(id_of(key));
    v1::HeldAttempt& held = place->second;
    if (is_new) *held.mutable_key() = key;
    finish(held, is_new ? v1::JobEnd::CANCELLED_BEFORE_START : v1::JobEnd::STOP_REQUESTED, events);
  }
  tell(std::move(events));
  return {};
}

void SimulatedMember::end(const v1::AttemptKey& key) {
  const auto found = attempts_.find(id_of(key));
  if (found == attempts_.end()) return;
  v1::JobEvents events;
  finish(found->second, v1::JobEnd::EXITED, events);
  tell(std::move(events));
}

void SimulatedMember::finish(v1::HeldAttempt& held, v1::JobEnd::Reason reason,
                             v1::JobEvents& events) {
  if (held.has_end()) return;
  *held.mutable_end() = end_of(reason);
  *held.mutable_end_time() = to_proto(clock_.now().wall);
  if (held.started()) --totals_.running;
  ++totals_.ended;
  v1::JobEvent& event = *events.add_events();
  *event.mutable_key() = held.key();
  *event.mutable_time() = held.end_time();
  *event.mutable_ended() = held.end();
}

void SimulatedMember::forget(const v1::AttemptKey& key, bool acknowledged) {
  const auto found = attempts_.find(id_of(key));
  if (found == attempts_.end()) return;
  if (acknowledged) ++totals_.acknowledged;
  if (found->second.started() && !found->second.has_end()) --totals_.running;
  attempts_.erase(found);
}

void SimulatedMember::tell(v1::JobEvents events) {
  if (events.events().empty()) return;
  v1::SessionRequest news;
  *news.mutable_events() = std::move(events);
  client_.send(std::move(news));
  on_turn();
}

}  // namespace clusterd::bench
