#include "support/simulated_launcher.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/proto_time.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;

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

internal::LauncherHello SimulatedLauncher::connect(Hear hear) {
  ++connections_;
  hear_ = std::move(hear);
  orders_arrive_ = news_arrive_ = time_.now().boot;
  internal::LauncherHello hello;
  for (const auto& [id, process] : processes_) *hello.add_attempts() = process.state;
  return hello;
}

void SimulatedLauncher::disconnect() { hear_ = nullptr; }

void SimulatedLauncher::send(const internal::ToLauncher& orders) {
  orders_arrive_ = std::max(orders_arrive_, time_.now().boot + time_.pick_ms(0, 5));
  time_.after(orders_arrive_ - time_.now().boot, [this, orders, connection = connections_] {
    if (connection == connections_) carry_out(orders);
  });
}

void SimulatedLauncher::tell(internal::FromLauncher message) {
  if (hear_ == nullptr) return;  // the next hello tells it
  news_arrive_ = std::max(news_arrive_, time_.now().boot + time_.pick_ms(0, 5));
  time_.after(news_arrive_ - time_.now().boot,
              [this, message = std::move(message), connection = connections_] {
                if (connection == connections_ && hear_ != nullptr) hear_(message);
              });
}

void SimulatedLauncher::crash() {
  ++connections_;
  disconnect();
  std::erase_if(processes_, [](const auto& entry) {
    return !entry.second.state.started() && !entry.second.state.has_end();
  });
}

void SimulatedLauncher::vanish() {
  ++connections_;
  disconnect();
  for (const auto& [id, process] : processes_) {
    if (process.is_running()) truth_.vanished(to_key(id));
  }
  processes_.clear();
  contact_ = {};
}

void SimulatedLauncher::fall_sick(std::chrono::nanoseconds how_long) {
  sick_until_ = time_.now().boot + how_long;
}

void SimulatedLauncher::carry_out(const internal::ToLauncher& orders) {
  if (orders.contact_boottime_ns() != 0) {
    const BootTime contact{std::chrono::nanoseconds(orders.contact_boottime_ns())};
    contact_ = std::max(contact_, contact);
  }
  for (const internal::LaunchPlan& plan : orders.launch()) launch(plan);
  for (const v1::AttemptKey& key : orders.stop()) stop(key);
  for (const v1::AttemptKey& key : orders.fence()) fence(key);
  for (const v1::AttemptKey& key : orders.forget()) {
    const auto found = processes_.find(to_id(key));
    if (found != processes_.end() && found->second.state.has_end()) processes_.erase(found);
  }
}

SimulatedLauncher::Process& SimulatedLauncher::insert(const internal::LaunchPlan& plan) {
  Process& process = processes_[to_id(plan.key())];
  process.plan = plan;
  process.token = ++tokens_;
  *process.state.mutable_key() = plan.key();
  return process;
}

void SimulatedLauncher::later(std::chrono::nanoseconds delay, const Process& process,
                              std::function<void(Process&)> task) {
  time_.after(delay, [this, id = to_id(process.state.key()), token = process.token,
                      task = std::move(task)] {
    const auto found = processes_.find(id);
    if (found == processes_.end() || found->second.token != token) return;
    if (!found->second.state.has_end()) task(found->second);
  });
}

void SimulatedLauncher::launch(const internal::LaunchPlan& plan) {
  const auto known = processes_.find(to_id(plan.key()));
  if (known != processes_.end()) {
    internal::FromLauncher again;
    if (known->second.state.has_end()) *again.add_ended() = known->second.state;
    return tell(std::move(again));
  }
  later(time_.pick_ms(0, 20), insert(plan), [this](Process& process) { start(process); });
}

void SimulatedLauncher::start(Process& process) {
  if (process.plan.executable() == "broken.sh") {
    return finish(process, end_with(v1::JobEnd::START_FAILED));
  }
  if (time_.now().boot < sick_until_) {
    v1::JobEnd end = end_with(v1::JobEnd::START_FAILED);
    end.set_worker_at_fault(true);
    return finish(process, end);
  }
  const bool fenced = process.plan.has_fence_after() &&
                      time_.now().boot >= contact_ + from_proto(process.plan.fence_after());
  if (fenced) return finish(process, end_with(v1::JobEnd::WORKER_LOST));
  process.state.set_started(true);
  *process.state.mutable_start_time() = to_proto(time_.now().wall);
  truth_.started(process.state.key(), false);
  internal::FromLauncher news;
  *news.add_started() = process.state;
  tell(std::move(news));
  check_contact(process);
  const milliseconds runs(std::stoll(process.plan.argv(0)));
  later(runs, process, [this, runs](Process& ended) {
    finish(ended, end_after(runs, std::stoi(ended.plan.argv(1))));
  });
}

void SimulatedLauncher::check_contact(Process& process) {
  if (!process.plan.has_fence_after()) return;
  const BootTime due = contact_ + from_proto(process.plan.fence_after());
  if (time_.now().boot >= due) return finish(process, end_with(v1::JobEnd::WORKER_LOST));
  later(due - time_.now().boot, process, [this](Process& again) { check_contact(again); });
}

void SimulatedLauncher::finish(Process& process, const v1::JobEnd& end) {
  *process.state.mutable_end() = end;
  *process.state.mutable_end_time() = to_proto(time_.now().wall);
  if (process.state.started() && time_.chance(50)) {
    process.state.add_outputs()->set_total_bytes(1);
  }
  truth_.ended(process.state.key(), end);
  internal::FromLauncher news;
  *news.add_ended() = process.state;
  tell(std::move(news));
}

void SimulatedLauncher::stop(const v1::AttemptKey& key) {
  const auto found = processes_.find(to_id(key));
  if (found == processes_.end()) {
    // It must not start later: an end that stays until it is forgotten.
    internal::LaunchPlan plan;
    *plan.mutable_key() = key;
    return finish(insert(plan), end_with(v1::JobEnd::CANCELLED_BEFORE_START));
  }
  Process& process = found->second;
  if (process.state.has_end()) {
    internal::FromLauncher again;
    *again.add_ended() = process.state;
    return tell(std::move(again));
  }
  if (!process.state.started()) {
    return finish(process, end_with(v1::JobEnd::CANCELLED_BEFORE_START));
  }
  if (std::exchange(process.stopping, true)) return;
  later(time_.pick_ms(1, 500), process,
        [this](Process& stopped) { finish(stopped, end_with(v1::JobEnd::STOP_REQUESTED)); });
}

void SimulatedLauncher::fence(const v1::AttemptKey& key) {
  const auto found = processes_.find(to_id(key));
  if (found == processes_.end()) return;
  if (found->second.is_running()) truth_.ended(key, end_with(v1::JobEnd::SIGNALED));
  processes_.erase(found);
}

}  // namespace clusterd
