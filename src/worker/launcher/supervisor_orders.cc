#include <algorithm>
#include <csignal>
#include <utility>

#include "core/log.h"
#include "core/proto_time.h"
#include "worker/launcher/supervisor.h"
#include "worker/process_info.h"

namespace clusterd {
namespace {

constexpr std::chrono::seconds kContactWriteInterval{1};

internal::JournalIntent make_intent(uint64_t handle, const std::string& runtime_dir,
                                    const internal::LaunchPlan& plan) {
  internal::JournalIntent intent;
  intent.set_handle(handle);
  *intent.mutable_key() = plan.key();
  intent.set_runtime_dir(runtime_dir);
  if (plan.has_timeout()) *intent.mutable_timeout() = plan.timeout();
  intent.set_stop_signal(plan.stop_signal() > 0 ? plan.stop_signal() : SIGTERM);
  if (plan.has_stop_grace()) *intent.mutable_stop_grace() = plan.stop_grace();
  intent.set_output_mode(plan.output_mode());
  intent.set_max_output_bytes(plan.max_output_bytes());
  if (plan.has_fence_after()) *intent.mutable_fence_after() = plan.fence_after();
  intent.set_executable(plan.executable());
  if (plan.has_limits()) *intent.mutable_limits() = plan.limits();
  intent.set_on_output_limit(plan.on_output_limit());
  if (plan.has_full_disk_wait()) *intent.mutable_full_disk_wait() = plan.full_disk_wait();
  intent.set_archive_command(plan.archive_command());
  *intent.mutable_archive_environment() = plan.archive_environment();
  if (plan.has_archive_timeout()) *intent.mutable_archive_timeout() = plan.archive_timeout();
  if (plan.has_run_as()) *intent.mutable_run_as() = plan.run_as();
  intent.set_scratch_folder(plan.scratch_folder());
  intent.set_keep_scratch(plan.keep_scratch());
  intent.set_trace_parent(plan.trace_parent());
  return intent;
}

// Of a later version's words those that this one knows are used.
void use_log_settings(const internal::LogSettings& settings) {
  (void)set_log_level(settings.level());
  (void)set_log_format(settings.format());
}

}  // namespace

void Supervisor::on_orders(internal::ToLauncher orders, std::vector<UniqueFd> descriptors) {
  if (orders.contact_boottime_ns() != 0) on_contact(orders.contact_boottime_ns());
  if (orders.has_log()) use_log_settings(orders.log());
  if (orders.has_hello() || orders.descriptors_size() > 0) {
    on_passed(orders, std::move(descriptors));
  }
  for (const internal::ReapedChild& child : orders.reaped()) on_reaped(child);
  if (orders.has_hello()) {
    worker_greeted_ = true;
    const std::string& scratch_dir = orders.hello().scratch_dir();
    if (!scratch_dir.empty()) scratch_->sweep(scratch_dir);
    for (const auto& [handle, attempt] : attempts_) {
      const bool waits = attempt->phase == Attempt::Phase::kRunning && !attempt->own_child;
      if (waits) resolve(*attempt);
    }
  }
  for (internal::LaunchPlan& plan : *orders.mutable_launch()) launch(std::move(plan));
  for (const v1::AttemptKey& key : orders.stop()) stop(key);
  for (const v1::AttemptKey& key : orders.fence()) fence(key);
  for (const internal::SignalOrder& order : orders.signal()) signal(order);
  for (const v1::AttemptKey& key : orders.forget()) forget(key);
}

void Supervisor::launch(internal::LaunchPlan plan) {
  if (const Attempt* known = find(plan.key())) {
    if (known->phase == Attempt::Phase::kEnded) news_ended_.insert(known->handle());
    return;
  }
  SpawnOrder order;
  order.handle = next_handle_++;
  order.intent = make_intent(order.handle, options_.runtime_dir, plan);
  order.plan = std::move(plan);
  JournalAttempt record;
  record.intent = order.intent;
  Attempt& attempt = insert(std::move(record));
  if (const auto due = fence_of(attempt); due && clock_.now().boot >= *due) {
    // An order that was long on its way: the scheduler may have given the attempt up.
    return end_unstarted(attempt, v1::JobEnd::WORKER_LOST,
                         "not started: no contact with the scheduler for too long");
  }
  begin_spawn(std::move(order));
}

void Supervisor::begin_spawn(SpawnOrder order) {
  if (holds_starts_back()) {
    held_back_.push_back(std::move(order));
    return;
  }
  order.journal_fd = journal_.fd();
  order.scratch = scratch_.get();
  order.keeper = keeper_.get();
  ++in_flight_;
  spawner_->start(std::move(order));
}

bool Supervisor::unspawn(Handle handle) {
  if (spawner_->cancel(handle)) {
    --in_flight_;
    return true;
  }
  return std::erase_if(held_back_,
                       [handle](const SpawnOrder& order) { return order.handle == handle; }) > 0;
}

void Supervisor::on_spawn_result(SpawnResult result) {
  --in_flight_;
  ++changes_;
  Attempt& attempt = *attempts_.at(result.handle);
  if (result.status.ok()) {
    on_started(attempt, std::move(result));
  } else if (attempt.fence_when_started) {
    forget_fenced(attempt);
  } else {
    end_not_started(attempt, result.status);
  }
}

void Supervisor::on_started(Attempt& attempt, SpawnResult result) {
  attempt.record.spawned = result.spawned;
  attempt.own_child = true;
  own_children_.insert(attempt.pid());
  attempt.phase = Attempt::Phase::kRunning;
  attempt.pidfd = std::move(result.pidfd);
  attempt.cgroup = std::move(result.cgroup);
  if (attempt.cgroup != nullptr) *attempt.record.intent.mutable_cgroup() = attempt.cgroup->use();
  attempt.tree = ProcessTree(attempt.pid(), result.spawned.start_ticks, attempt.cgroup.get());
  attempt.record.state.set_running_since_ns(static_cast<uint64_t>(result.spawned.boottime_ns));
  for (const OutputPipe& pipe : result.pipes) {
    attempt.outputs.emplace_back().set_stream(pipe.stream);
  }
  attempt.pipes_kept = result.pipes_kept;
  wait_for_output(attempt, std::move(result.pipes));
  if (!attempt.pidfd.valid()) attempt.pidfd = open_pidfd(attempt.pid());
  if (attempt.pidfd.valid()) {
    poller_.add(attempt.pidfd.get(), PollKind::kMainProcess, attempt.handle());
  } else {
    // Out of descriptors: nothing could tell its end, so it is looked at now and then.
    log_error("launcher", "no descriptor for a process",
              {{"job_id", attempt.key().job_id()}, {"attempt", attempt.key().attempt()}});
    attempt.look_again = clock_.now().boot + std::chrono::seconds(1);
  }
  if (!attempt.fence_when_started) tell_started(attempt);
  if (attempt.fence_when_started) begin_ending(attempt, internal::JournalState::FENCE);
  if (attempt.stop_when_started) begin_ending(attempt, internal::JournalState::STOP);
  arm(attempt);
}

void Supervisor::stop(const v1::AttemptKey& key) {
  Attempt* attempt = find(key);
  if (attempt == nullptr) {
    // It must not start later: an end that stays until it is forgotten.
    JournalAttempt record;
    record.intent.set_handle(next_handle_++);
    *record.intent.mutable_key() = key;
    end_unstarted(insert(std::move(record)), v1::JobEnd::CANCELLED_BEFORE_START,
                  "stopped before it started");
  } else if (attempt->phase == Attempt::Phase::kRunning) {
    begin_ending(*attempt, internal::JournalState::STOP);
  } else if (attempt->phase == Attempt::Phase::kEnded) {
    news_ended_.insert(attempt->handle());
  } else if (attempt->phase == Attempt::Phase::kStarting) {
    if (unspawn(attempt->handle())) {
      end_unstarted(*attempt, v1::JobEnd::CANCELLED_BEFORE_START, "stopped before it started");
    } else {
      attempt->stop_when_started = true;
    }
  }
}

void Supervisor::stop_all() {
  std::vector<v1::AttemptKey> keys;
  for (const auto& [handle, attempt] : attempts_) {
    if (attempt->phase != Attempt::Phase::kEnded) keys.push_back(attempt->key());
  }
  for (const v1::AttemptKey& key : keys) stop(key);
}

void Supervisor::fence(const v1::AttemptKey& key) {
  Attempt* attempt = find(key);
  if (attempt == nullptr) return;
  if (attempt->phase == Attempt::Phase::kEnded) {
    forget_fenced(*attempt);
  } else if (attempt->phase == Attempt::Phase::kStarting) {
    attempt->fence_when_started = true;
    if (unspawn(attempt->handle())) forget_fenced(*attempt);
  } else {
    begin_ending(*attempt, internal::JournalState::FENCE);
  }
}

void Supervisor::signal(const internal::SignalOrder& order) {
  Attempt* attempt = find(order.key());
  if (attempt == nullptr || attempt->phase != Attempt::Phase::kRunning) return;
  if (order.main_process_only()) {
    (void)signal_by_pidfd(attempt->pidfd.get(), order.signal());
  } else {
    (void)attempt->tree.send(order.signal(), attempt->own_child);
  }
  internal::JournalState& state = attempt->record.state;
  const auto now = static_cast<uint64_t>(clock_.now().boot.time_since_epoch().count());
  if (order.signal() == SIGSTOP && !state.suspended()) {
    state.set_suspended(true);
    state.set_run_used_ns(state.run_used_ns() + (now - state.running_since_ns()));
  } else if (order.signal() == SIGCONT && state.suspended()) {
    state.set_suspended(false);
    state.set_running_since_ns(now);
  } else {
    return;
  }
  write_state(*attempt);
  news_suspension_.insert(attempt->handle());
  arm(*attempt);
}

void Supervisor::forget(const v1::AttemptKey& key) {
  const Attempt* attempt = find(key);
  if (attempt == nullptr) return;
  const bool never_ran = attempt->phase == Attempt::Phase::kStarting && attempt->fence_when_started;
  if (attempt->phase != Attempt::Phase::kEnded && !never_ran) return;
  const Handle handle = attempt->handle();
  write_later(JournalType::kForgotten, {reinterpret_cast<const char*>(&handle), sizeof(handle)});
  erase(handle);
}

void Supervisor::forget_fenced(const Attempt& attempt) {
  news_gone_.push_back(attempt.key());
  forget(news_gone_.back());
  write_due();  // nobody would forget an END without it
}

void Supervisor::on_contact(uint64_t boottime_ns) {
  const BootTime time{std::chrono::nanoseconds(boottime_ns)};
  contact_ = std::max(contact_, std::min(time, clock_.now().boot));
  if (contact_ - contact_written_ < kContactWriteInterval) return;
  const bool matters = std::any_of(attempts_.begin(), attempts_.end(), [](const auto& entry) {
    return entry.second->record.intent.has_fence_after();
  });
  if (!matters) return;
  ++forgotten_;  // the record before it is of no use any more: compaction is due sooner
  contact_written_ = contact_;
  write(JournalType::kContact, {reinterpret_cast<const char*>(&boottime_ns), sizeof(boottime_ns)});
}

}  // namespace clusterd
