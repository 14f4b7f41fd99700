#include "support/simulated_worker.h"

#include <array>

#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/worker_fault.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kHeartbeat(1);
constexpr seconds kAnswerTimeout(10);

v1::AttemptKey to_key(const std::pair<std::string, uint32_t>& key) {
  v1::AttemptKey result;
  result.set_job_id(key.first);
  result.set_attempt(key.second);
  return result;
}

v1::JobEnd end_with(v1::JobEnd::Reason reason) {
  v1::JobEnd end;
  end.set_reason(reason);
  return end;
}

// How a process ends that has run its time. Some of those that would fail meet something else.
v1::JobEnd end_after(milliseconds time, int exit_code) {
  using v1::JobEnd;
  constexpr std::array kOthers = {JobEnd::SIGNALED, JobEnd::OUT_OF_MEMORY, JobEnd::OUTPUT_LIMIT,
                                  JobEnd::RUN_TIMED_OUT, JobEnd::EXIT_STATUS_UNKNOWN};
  const auto kind = static_cast<size_t>(time.count()) % 10;
  if (exit_code != 0 && kind < kOthers.size()) return end_with(kOthers.at(kind));
  v1::JobEnd end = end_with(JobEnd::EXITED);
  end.set_exit_code(exit_code);
  return end;
}

}  // namespace

SimulatedWorker::SimulatedWorker(std::string name, uint32_t slots, VirtualTime& time,
                                 SimulatedTruth& truth, Network network)
    : name_(std::move(name)),
      slots_(slots),
      time_(time),
      truth_(truth),
      network_(std::move(network)) {}

void SimulatedWorker::boot() {
  up_ = true;
  left_ = false;
  ++boots_;
  ++lives_;
  contact_ = time_.now().boot;
  reconnect();
}

void SimulatedWorker::reconnect() {
  open_ = false;
  session_ = 0;
  time_.after(time_.pick_ms(50, 2000), [this, life = lives_] {
    if (life != lives_ || !up_ || left_ || open_) return;
    if (hung_ || cut_off_) return reconnect();
    truth_.note("connect " + name_);
    network_.open_session(*this);
    // No welcome in time: begin anew.
    time_.after(kAnswerTimeout, [this, life, stream = stream_] {
      if (life == lives_ && !open_ && stream == stream_) {
        network_.close_session(*this);
        reconnect();
      }
    });
  });
}

v1::WorkerIdentity SimulatedWorker::identity() const {
  v1::WorkerIdentity identity;
  identity.set_worker_id(worker_id_);
  identity.set_boot_id(name_ + " boot " + std::to_string(boots_));
  identity.set_journal_id(name_ + " journal " + std::to_string(boots_));
  identity.set_machine_id(name_);
  identity.add_features("delete_outputs");
  identity.add_features("gangs");
  return identity;
}

void SimulatedWorker::set_membership(const std::string& worker_id, uint64_t epoch) {
  worker_id_ = worker_id;
  epoch_ = epoch;
}

v1::SessionHello SimulatedWorker::hello() {
  v1::SessionHello hello;
  unsaid_.clear();  // the inventory tells it
  *hello.mutable_identity() = identity();
  for (const auto& [key, held] : held_) {
    v1::HeldAttempt& attempt = *hello.add_inventory();
    *attempt.mutable_key() = to_key(key);
    attempt.set_started(held.started);
    if (held.started) *attempt.mutable_start_time() = to_proto(held.start_time);
    if (!held.end) continue;
    *attempt.mutable_end() = *held.end;
    *attempt.mutable_end_time() = to_proto(held.end_time);
  }
  return hello;
}

void SimulatedWorker::hang(std::chrono::nanoseconds how_long) {
  hung_ = true;
  truth_.note("hang " + name_);
  time_.after(how_long, [this] {
    hung_ = false;
    truth_.note("wake " + name_);
    for (auto& task : std::exchange(asleep_, {})) task();
  });
}

void SimulatedWorker::cut_off(std::chrono::nanoseconds how_long) {
  cut_off_ = true;
  truth_.note("cut off " + name_);
  time_.after(how_long, [this, stream = stream_] {
    cut_off_ = false;
    if (!up_ || stream != stream_ || stream == 0) return;
    network_.close_session(*this);  // what was sent meanwhile is lost, and the connection with it
    reconnect();
  });
}

void SimulatedWorker::restart_process() {
  if (!up_ || left_) return;
  truth_.note("restart " + name_);
  ++lives_;
  asleep_.clear();
  if (stream_ != 0) network_.close_session(*this);
  reconnect();
}

void SimulatedWorker::reboot(std::chrono::nanoseconds down) {
  if (!up_ || left_) return;
  truth_.note("reboot " + name_);
  up_ = false;
  ++lives_;
  asleep_.clear();
  for (auto& [key, held] : held_) {
    if (held.running) truth_.vanished(to_key(key));
  }
  held_.clear();
  forgotten_.clear();
  open_ = false;
  session_ = 0;
  if (stream_ != 0) network_.close_session(*this);
  time_.after(down, [this] { boot(); });
}

void SimulatedWorker::leave() {
  if (!is_reachable() || !open_ || !held_.empty() || left_) return;
  truth_.note("leave " + name_);
  left_ = true;
  network_.deregister(*this, true);
  time_.after(time_.pick_ms(100, 20'000), [this] {
    left_ = false;
    ++lives_;
    reconnect();
  });
}

void SimulatedWorker::fall_sick(std::chrono::nanoseconds how_long) {
  truth_.note("sick " + name_);
  sick_until_ = time_.now().boot + how_long;
}

void SimulatedWorker::when_awake(VirtualTime::Task task) {
  if (hung_) {
    asleep_.push_back(std::move(task));
  } else {
    task();
  }
}

bool SimulatedWorker::is_current(uint64_t epoch, uint64_t session) const {
  return open_ && epoch == epoch_ && session == session_;
}

void SimulatedWorker::contact(BootTime sent) {
  contact_ = std::max(contact_, sent);
  for (const auto& [key, held] : held_) check_fence(key);
}

void SimulatedWorker::check_fence(const Key& key) {
  const auto found = held_.find(key);
  if (found == held_.end() || !found->second.running) return;
  const Held& held = found->second;
  if (!held.order.has_fence_after()) return;
  const BootTime due = contact_ + from_proto(held.order.fence_after());
  if (time_.now().boot >= due) return finish(key, end_with(v1::JobEnd::WORKER_LOST));
  time_.after(due - time_.now().boot, [this, key, token = held.token] {
    const auto again = held_.find(key);
    if (again != held_.end() && again->second.token == token) check_fence(key);
  });
}

void SimulatedWorker::session_message(uint64_t stream, const v1::SessionResponse& message) {
  if (!up_ || stream != stream_) return;
  heard_ = time_.now().boot;
  if (message.has_welcome()) {
    open_ = true;
    session_ = message.welcome().session();
    epoch_ = message.welcome().epoch();
    unanswered_.clear();
    truth_.note("session " + name_);
    for (const v1::JobEvent& event : std::exchange(unsaid_, {})) say(event);
    return heartbeat();
  }
  if (!is_current(message.epoch(), message.session())) return;
  if (message.has_heartbeat()) {
    const auto sent = unanswered_.find(message.heartbeat().number());
    if (sent == unanswered_.end()) return;
    const BootTime when = sent->second;
    unanswered_.erase(unanswered_.begin(), std::next(sent));
    contact(when);
  } else if (message.has_acknowledged()) {
    for (const v1::AttemptKey& key : message.acknowledged().keys()) {
      const auto held = held_.find({key.job_id(), key.attempt()});
      if (held == held_.end() || !held->second.end) continue;
      held_.erase(held);
      forgotten_.insert({key.job_id(), key.attempt()});
    }
  } else if (message.has_fenced()) {
    for (const v1::AttemptKey& key : message.fenced().keys()) kill({key.job_id(), key.attempt()});
  } else if (message.has_delete_outputs()) {
    v1::SessionRequest answer;
    *answer.mutable_outputs_deleted()->mutable_job_ids() = message.delete_outputs().job_ids();
    answer.set_epoch(epoch_);
    answer.set_session(session_);
    network_.send(*this, std::move(answer));
  }
}

void SimulatedWorker::heartbeat() {
  time_.after(kHeartbeat, [this, life = lives_, stream = stream_] {
    when_awake([this, life, stream] {
      if (life != lives_ || !open_ || stream != stream_ || left_) return;
      const BootTime now = time_.now().boot;
      if (now - heard_ >= kAnswerTimeout && !unanswered_.empty()) {
        network_.close_session(*this);
        return reconnect();
      }
      v1::SessionRequest message;
      message.set_epoch(epoch_);
      message.set_session(session_);
      message.mutable_heartbeat()->set_number(++heartbeats_);
      unanswered_[heartbeats_] = now;
      network_.send(*this, std::move(message));
      heartbeat();
    });
  });
}

void SimulatedWorker::session_lost(uint64_t stream) {
  if (!up_ || stream != stream_) return;
  reconnect();
}

absl::Status SimulatedWorker::start(const v1::StartJobsRequest& request,
                                    v1::StartJobsResponse& answer) {
  if (!is_current(request.epoch(), request.session())) {
    return absl::FailedPreconditionError("not the current session");
  }
  for (const v1::StartAttempt& order : request.attempts()) {
    v1::StartVerdict& verdict = *answer.add_verdicts();
    *verdict.mutable_key() = order.key();
    const Key key{order.key().job_id(), order.key().attempt()};
    if (held_.contains(key) || forgotten_.contains(key)) continue;
    const bool knows_all = static_cast<uint32_t>(order.peers_size()) == order.task_count();
    if (order.spec().has_gang() && !knows_all) truth_.breach("knows not all of its gang");
    if (order.spec().path() == "refused.sh") {
      verdict.mutable_refusal()->set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
      verdict.mutable_refusal()->set_message("path: refused");
      continue;
    }
    if (time_.now().boot < sick_until_ && time_.chance(50)) {
      *verdict.mutable_refusal() =
          to_proto(by_workers_fault(absl::InvalidArgumentError("path: the folder is gone")));
      continue;
    }
    held_[key] = {.order = order, .token = ++tokens_};
    time_.after(time_.pick_ms(0, 20), [this, key, token = tokens_] {
      const auto held = held_.find(key);
      if (held != held_.end() && held->second.token == token && !held->second.end) run(key);
    });
  }
  return absl::OkStatus();
}

void SimulatedWorker::run(const Key& key) {
  Held& held = held_.at(key);
  if (held.order.spec().path() == "broken.sh") {
    return finish(key, end_with(v1::JobEnd::START_FAILED));
  }
  if (time_.now().boot < sick_until_) {
    v1::JobEnd end = end_with(v1::JobEnd::START_FAILED);
    end.set_worker_at_fault(true);
    return finish(key, end);
  }
  const bool fenced = held.order.has_fence_after() &&
                      time_.now().boot >= contact_ + from_proto(held.order.fence_after());
  if (fenced) return finish(key, end_with(v1::JobEnd::WORKER_LOST));
  held.started = held.running = true;
  held.start_time = time_.now().wall;
  truth_.started(to_key(key), false);
  v1::JobEvent event;
  *event.mutable_key() = to_key(key);
  *event.mutable_time() = to_proto(held.start_time);
  event.mutable_started();
  say(event);
  check_fence(key);
  if (!held_.contains(key) || !held_.at(key).running) return;
  const milliseconds runs(std::stoll(held.order.spec().args(0)));
  time_.after(runs, [this, key, runs, token = held.token] {
    const auto again = held_.find(key);
    if (again == held_.end() || again->second.token != token || !again->second.running) return;
    finish(key, end_after(runs, std::stoi(again->second.order.spec().args(1))));
  });
}

void SimulatedWorker::finish(const Key& key, const v1::JobEnd& end) {
  Held& held = held_.at(key);
  if (held.end) return;
  held.running = false;
  held.end = end;
  held.end_time = time_.now().wall;
  truth_.ended(to_key(key), end);
  v1::JobEvent event;
  *event.mutable_key() = to_key(key);
  *event.mutable_time() = to_proto(held.end_time);
  *event.mutable_ended() = end;
  say(event);
}

void SimulatedWorker::kill(const Key& key) {
  const auto held = held_.find(key);
  if (held == held_.end()) return;
  if (held->second.running) {
    v1::JobEnd end = end_with(v1::JobEnd::SIGNALED);
    truth_.ended(to_key(key), end);
  }
  held_.erase(held);
  forgotten_.insert(key);
}

void SimulatedWorker::say(const v1::JobEvent& event) {
  when_awake([this, event, life = lives_] {
    if (life != lives_) return;  // the next inventory tells it
    if (!open_) {
      unsaid_.push_back(event);
      return;
    }
    v1::SessionRequest message;
    message.set_epoch(epoch_);
    message.set_session(session_);
    *message.mutable_events()->add_events() = event;
    network_.send(*this, std::move(message));
  });
}

absl::Status SimulatedWorker::stop(const v1::StopJobsRequest& request) {
  if (!is_current(request.epoch(), request.session())) {
    return absl::FailedPreconditionError("not the current session");
  }
  for (const v1::AttemptKey& wanted : request.keys()) {
    const Key key{wanted.job_id(), wanted.attempt()};
    if (forgotten_.contains(key)) continue;
    if (!held_.contains(key)) held_[key].token = ++tokens_;
    Held& held = held_.at(key);
    if (held.end || held.stopping) continue;
    held.stopping = true;
    if (!held.running) {
      finish(key, end_with(v1::JobEnd::CANCELLED_BEFORE_START));
      continue;
    }
    time_.after(time_.pick_ms(1, 500), [this, key, token = held.token] {
      const auto again = held_.find(key);
      if (again == held_.end() || again->second.token != token || !again->second.running) return;
      finish(key, end_with(v1::JobEnd::STOP_REQUESTED));
    });
  }
  return absl::OkStatus();
}

}  // namespace clusterd
