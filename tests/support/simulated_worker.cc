#include "support/simulated_worker.h"

#include <utility>

#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/worker_fault.h"

namespace clusterd {
namespace {

using std::chrono::seconds;

constexpr seconds kHeartbeat(1);
constexpr seconds kAnswerTimeout(10);

}  // namespace

SimulatedWorker::SimulatedWorker(std::string name, uint32_t slots, VirtualTime& time,
                                 SimulatedTruth& truth, Network network)
    : name_(std::move(name)),
      slots_(slots),
      time_(time),
      truth_(truth),
      network_(std::move(network)),
      launcher_(time, truth) {}

// ---- its life

void SimulatedWorker::boot() {
  up_ = true;
  left_ = false;
  ++boots_;
  begin_process();
}

void SimulatedWorker::begin_process() {
  ++lives_;
  knows_launcher_ = false;
  decider_ = std::make_unique<WorkerDecider>(
      [](const v1::AttemptKey& key) { return "/outputs/" + key.job_id(); });
  connect_launcher();
  reconnect();
}

void SimulatedWorker::end_process() {
  ++lives_;
  asleep_.clear();
  open_ = false;
  decider_.reset();
  launcher_.disconnect();
  if (stream_ != 0) network_.close_session(*this);
  for (auto& [call, on_reply] : std::exchange(calls_, {})) {
    on_reply(absl::UnavailableError("the connection is gone"));
  }
}

void SimulatedWorker::later(std::chrono::nanoseconds delay, VirtualTime::Task task) {
  time_.after(delay, [this, life = lives_, task = std::move(task)] {
    if (life != lives_) return;
    when_awake([this, life, task] {
      if (life == lives_) task();
    });
  });
}

void SimulatedWorker::connect_launcher() {
  later(time_.pick_ms(1, 500), [this] {
    const internal::LauncherHello hello =
        launcher_.connect([this, life = lives_](const internal::FromLauncher& message) {
          when_awake([this, life, message] {
            if (life != lives_) return;
            decider_->on_launcher_message(message, time_.now());
            turn();
          });
        });
    knows_launcher_ = true;
    decider_->on_launcher_connected(hello, time_.now());
    turn();
  });
}

void SimulatedWorker::reconnect() {
  open_ = false;
  later(time_.pick_ms(50, 2000), [this] {
    if (left_ || open_) return;
    if (cut_off_ || !knows_launcher_) return reconnect();
    truth_.note("connect " + name_);
    network_.open_session(*this);
    // No welcome in time: begin anew.
    later(kAnswerTimeout, [this, stream = stream_] {
      if (open_ || stream != stream_) return;
      close_session();
      reconnect();
    });
  });
}

void SimulatedWorker::close_session() {
  open_ = false;
  network_.close_session(*this);
  decider_->on_session_closed();
  turn();
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
    close_session();  // what was sent meanwhile is lost, and the connection with it
    reconnect();
  });
}

void SimulatedWorker::restart_process() {
  if (!up_ || left_) return;
  truth_.note("restart " + name_);
  end_process();
  begin_process();
}

void SimulatedWorker::crash_launcher() {
  if (!up_) return;
  truth_.note("launcher crashes " + name_);
  launcher_.crash();
  later(std::chrono::nanoseconds(0), [this] {
    decider_->on_launcher_disconnected();
    turn();
    connect_launcher();
  });
}

void SimulatedWorker::reboot(std::chrono::nanoseconds down) {
  if (!up_ || left_) return;
  truth_.note("reboot " + name_);
  up_ = false;
  end_process();
  launcher_.vanish();
  time_.after(down, [this] { boot(); });
}

void SimulatedWorker::leave() {
  if (!is_reachable() || !open_ || decider_->held() > 0 || left_) return;
  truth_.note("leave " + name_);
  left_ = true;
  network_.deregister(*this, true);
  time_.after(time_.pick_ms(100, 20'000), [this] {
    left_ = false;
    end_process();
    begin_process();
  });
}

void SimulatedWorker::fall_sick(std::chrono::nanoseconds how_long) {
  truth_.note("sick " + name_);
  sick_until_ = time_.now().boot + how_long;
  launcher_.fall_sick(how_long);
}

void SimulatedWorker::when_awake(VirtualTime::Task task) {
  if (hung_) {
    asleep_.push_back(std::move(task));
  } else {
    task();
  }
}

// ---- its session

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
  joined_epoch_ = epoch;
}

v1::SessionHello SimulatedWorker::hello() {
  v1::SessionHello hello;
  *hello.mutable_identity() = identity();
  for (v1::HeldAttempt& held : decider_->on_session_opening(joined_epoch_)) {
    *hello.add_inventory() = std::move(held);
  }
  turn();
  return hello;
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
    decider_->on_session_opened(epoch_, session_, time_.now());
    turn();
    return heartbeat();
  }
  if (!open_ || message.epoch() != epoch_ || message.session() != session_) return;
  if (message.has_heartbeat()) {
    const auto sent = unanswered_.find(message.heartbeat().number());
    if (sent == unanswered_.end()) return;
    decider_->on_contact(sent->second);
    unanswered_.erase(unanswered_.begin(), std::next(sent));
  } else if (message.has_acknowledged()) {
    const auto& keys = message.acknowledged().keys();
    decider_->on_acknowledged({keys.begin(), keys.end()}, time_.now());
  } else if (message.has_fenced()) {
    const auto& keys = message.fenced().keys();
    decider_->on_fenced({keys.begin(), keys.end()});
  } else if (message.has_drain()) {
    decider_->on_drain(message.drain().draining());
  } else if (message.has_delete_outputs()) {
    v1::SessionRequest answer;
    *answer.mutable_outputs_deleted()->mutable_job_ids() = message.delete_outputs().job_ids();
    tell(std::move(answer));
  }
  turn();
}

void SimulatedWorker::tell(v1::SessionRequest message) {
  message.set_epoch(epoch_);
  message.set_session(session_);
  network_.send(*this, std::move(message));
}

void SimulatedWorker::heartbeat() {
  later(kHeartbeat, [this, stream = stream_] {
    if (!open_ || stream != stream_ || left_) return;
    const BootTime now = time_.now().boot;
    if (now - heard_ >= kAnswerTimeout && !unanswered_.empty()) {
      close_session();
      return reconnect();
    }
    v1::SessionRequest message;
    message.mutable_heartbeat()->set_number(++heartbeats_);
    unanswered_[heartbeats_] = now;
    tell(std::move(message));
    heartbeat();
  });
}

void SimulatedWorker::session_lost(uint64_t stream) {
  if (!up_ || stream != stream_) return;
  decider_->on_session_closed();
  turn();
  reconnect();
}

// ---- its jobs

CallId SimulatedWorker::keep(OnReply on_reply) {
  calls_.emplace(++last_call_, std::move(on_reply));
  return last_call_;
}

void SimulatedWorker::start(const v1::StartJobsRequest& request, OnReply on_reply) {
  for (const v1::StartAttempt& order : request.attempts()) {
    const bool knows_all = static_cast<uint32_t>(order.peers_size()) == order.task_count();
    if (order.spec().has_gang() && !knows_all) truth_.breach("knows not all of its gang");
  }
  decider_->on_start(keep(std::move(on_reply)), request, time_.now());
  turn();
}

void SimulatedWorker::stop(const v1::StopJobsRequest& request, OnReply on_reply) {
  decider_->on_stop(keep(std::move(on_reply)), request, time_.now());
  turn();
}

void SimulatedWorker::turn() {
  decider_->on_tick(time_.now());
  for (const WorkerEffect& effect : decider_->take_effects()) carry_out(effect);
}

void SimulatedWorker::carry_out(const WorkerEffect& effect) {
  if (const auto* start = std::get_if<CheckStart>(&effect)) {
    later(time_.pick_ms(0, 10), [this, start = *start] { check(start); });
  } else if (const auto* orders = std::get_if<SendOrders>(&effect)) {
    launcher_.send(orders->orders);
  } else if (const auto* events = std::get_if<SendEvents>(&effect)) {
    v1::SessionRequest news;
    *news.mutable_events() = events->events;
    tell(std::move(news));
  } else if (const auto* end = std::get_if<KeepEnd>(&effect)) {
    // Now and then the disk is slow.
    later(time_.chance(5) ? time_.pick_ms(0, 5000) : time_.pick_ms(0, 10),
          [this, key = end->attempt.key()] {
            decider_->on_end_kept(key, time_.now());
            turn();
          });
  } else if (const auto* reply = std::get_if<CallReply>(&effect)) {
    const auto call = calls_.extract(reply->call);
    if (reply->status.ok()) return call.mapped()(reply->start);
    call.mapped()(reply->status);
  }
}

void SimulatedWorker::check(const CheckStart& check) {
  const v1::JobSpec& spec = check.attempt.spec();
  absl::StatusOr<internal::LaunchPlan> plan = internal::LaunchPlan();
  if (spec.path() == "refused.sh") {
    plan = absl::InvalidArgumentError("path: refused");
  } else if (time_.now().boot < sick_until_ && time_.chance(50)) {
    plan = by_workers_fault(absl::InvalidArgumentError("path: the folder is gone"));
  } else {
    *plan->mutable_key() = check.attempt.key();
    plan->set_executable(spec.path());
    *plan->mutable_argv() = spec.args();
    if (check.attempt.has_fence_after()) {
      *plan->mutable_fence_after() = check.attempt.fence_after();
    }
  }
  decider_->on_checked(check.check, std::move(plan), time_.now());
  turn();
}

}  // namespace clusterd
