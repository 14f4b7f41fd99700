// The launcher's side of the decider: orders to it, news from it, and what its hello settles.
#include <algorithm>
#include <utility>

#include "core/proto_time.h"
#include "worker/worker_decider.h"

namespace clusterd {
namespace {

constexpr size_t kMaxOrderBytes = 1U << 20;  // of plans in one message

bool is_separate(const internal::LaunchedAttempt& launched) {
  for (const v1::OutputStream& output : launched.outputs()) {
    if (output.stream() != v1::OutputStream::MERGED) return true;
  }
  return false;
}

bool has_bytes(const v1::JobEnd& end) {
  for (const v1::OutputStream& output : end.outputs()) {
    if (output.total_bytes() > 0) return true;
  }
  return false;
}

}  // namespace

void WorkerDecider::on_launcher_connected(const internal::LauncherHello& hello, Now now) {
  launcher_connected_ = true;
  orders_.Clear();
  ready_orders_.clear();
  if (contact_ns_ != 0) orders_.set_contact_boottime_ns(contact_ns_);
  absl::flat_hash_set<Key> present;
  for (const internal::LaunchedAttempt& launched : hello.attempts()) {
    const Key id = to_id(launched.key());
    present.insert(id);
    if (fenced_.contains(id)) {
      *orders_.add_fence() = launched.key();
    } else if (forgotten_.contains(id)) {
      *orders_.add_forget() = launched.key();
    } else {
      adopt(launched, now);
    }
  }
  absl::erase_if(fenced_, [&present](const Key& id) { return !present.contains(id); });
  for (auto& [id, held] : attempts_) {
    if (!present.contains(id)) settle_missing(held, now);
  }
}

void WorkerDecider::on_launcher_disconnected() {
  launcher_connected_ = false;
  orders_.Clear();
  ready_orders_.clear();
}

void WorkerDecider::adopt(const internal::LaunchedAttempt& launched, Now /*now*/) {
  const auto [entry, is_new] = attempts_.try_emplace(to_id(launched.key()));
  HeldAttempt& held = entry->second;
  if (is_new) {
    held.id = to_id(launched.key());
    held.outputs.assign(launched.outputs().begin(), launched.outputs().end());
  }
  if (!launched.trace_parent().empty()) held.trace_parent = launched.trace_parent();
  if (held.phase == HeldAttempt::Phase::kChecking) {
    held.phase = HeldAttempt::Phase::kLaunching;
    held.separate = is_separate(launched);
    settle(held.id, {});
  }
  held.suspended = launched.suspended();
  for (const v1::OutputStream& output : launched.outputs()) note_length(held, output);
  if (launched.started()) mark_started(held, launched);
  if (launched.has_end()) {
    mark_ended(held, launched);
  } else if (held.stop_wanted && held.phase != HeldAttempt::Phase::kEnded) {
    *orders_.add_stop() = launched.key();
  }
  effects_.emplace_back(WakeReaders{held.id});
}

void WorkerDecider::settle_missing(HeldAttempt& held, Now now) {
  switch (held.phase) {
    case HeldAttempt::Phase::kLaunching:
      if (held.stop_wanted) {
        *orders_.add_stop() = to_key(held.id);  // the launch may have come after this hello
        return end_unstarted(held, now);
      }
      if (held.plan) return launch(held);  // the order was lost on its way
      [[fallthrough]];
    case HeldAttempt::Phase::kRunning: {
      internal::LaunchedAttempt unknown;
      unknown.mutable_end()->set_reason(v1::JobEnd::EXIT_STATUS_UNKNOWN);
      unknown.mutable_end()->set_message(
          "the launcher that ran it is gone, and so is its record; output that was still in its "
          "pipe (up to 1 MiB) is gone too");
      *unknown.mutable_end_time() = to_proto(now.wall);
      unknown.mutable_outputs()->Assign(held.outputs.begin(), held.outputs.end());
      return mark_ended(held, unknown);
    }
    case HeldAttempt::Phase::kChecking:
    case HeldAttempt::Phase::kEnded:
      return;
  }
}

void WorkerDecider::on_launcher_message(const internal::FromLauncher& message, Now now) {
  for (const internal::LaunchedAttempt& launched : message.started()) {
    const auto found = attempts_.find(to_id(launched.key()));
    if (found != attempts_.end()) mark_started(found->second, launched);
  }
  for (const internal::OutputGrowth& growth : message.growth()) grow(growth);
  for (const internal::LaunchedAttempt& launched : message.suspension()) {
    const auto found = attempts_.find(to_id(launched.key()));
    if (found == attempts_.end() || found->second.suspended == launched.suspended()) continue;
    found->second.suspended = launched.suspended();
    add_event(found->second, to_proto(now.wall)).set_suspended(launched.suspended());
  }
  for (const internal::LaunchedAttempt& launched : message.ended()) {
    const Key id = to_id(launched.key());
    const auto found = attempts_.find(id);
    if (found != attempts_.end()) {
      if (launched.started()) mark_started(found->second, launched);
      mark_ended(found->second, launched);
    } else if (launcher_connected_) {  // fenced, or forgotten while the order was on its way
      *orders_.add_forget() = launched.key();
      fenced_.erase(id);
    }
  }
}

void WorkerDecider::grow(const internal::OutputGrowth& growth) {
  const auto found = attempts_.find(to_id(growth.key()));
  if (found == attempts_.end() || found->second.phase == HeldAttempt::Phase::kEnded) return;
  note_length(found->second, growth.output());
  effects_.emplace_back(WakeReaders{found->first});
}

void WorkerDecider::note_length(HeldAttempt& held, const v1::OutputStream& output) {
  auto known = held.outputs.begin();
  while (known != held.outputs.end() && known->stream() != output.stream()) ++known;
  if (known == held.outputs.end()) known = held.outputs.emplace(known);
  if (output.total_bytes() > known->total_bytes()) {
    output_bytes_ += output.total_bytes() - known->total_bytes();
  }
  *known = output;
}

void WorkerDecider::tell_end(const HeldAttempt& held) {
  TellEnd told{.id = held.id, .trace_parent = held.trace_parent, .end = {}};
  told.end.set_reason(held.end.reason());
  if (held.end.has_exit_code()) told.end.set_exit_code(held.end.exit_code());
  if (held.end.has_signal()) told.end.set_signal(held.end.signal());
  effects_.emplace_back(std::move(told));
}

void WorkerDecider::mark_started(HeldAttempt& held, const internal::LaunchedAttempt& launched) {
  if (held.started || held.phase == HeldAttempt::Phase::kEnded) return;
  held.started = true;
  held.phase = HeldAttempt::Phase::kRunning;
  held.start_time = launched.start_time();
  held.plan.reset();
  add_event(held, held.start_time)
      .mutable_started()
      ->set_output_path(output_folder_(launched.key()));
}

void WorkerDecider::mark_ended(HeldAttempt& held, const internal::LaunchedAttempt& launched) {
  if (held.phase == HeldAttempt::Phase::kEnded) return;
  held.phase = HeldAttempt::Phase::kEnded;
  held.plan.reset();
  held.suspended = false;
  held.end = launched.end();
  held.end_time = launched.end_time();
  if (held.end.outputs().empty()) *held.end.mutable_outputs() = launched.outputs();
  for (const v1::OutputStream& output : held.end.outputs()) note_length(held, output);
  held.outputs.assign(held.end.outputs().begin(), held.end.outputs().end());
  *add_event(held, held.end_time).mutable_ended() = held.end;
  // A job without output has no folder, and gets none for this.
  held.end_kept = !has_bytes(held.end);
  if (!held.end_kept) effects_.emplace_back(KeepEnd{describe(held)});
  tell_end(held);
  effects_.emplace_back(WakeReaders{held.id});
}

void WorkerDecider::end_unstarted(HeldAttempt& held, Now now) {
  internal::LaunchedAttempt launched;
  launched.mutable_end()->set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
  launched.mutable_end()->set_message("stopped before it was started");
  *launched.mutable_end_time() = to_proto(now.wall);
  mark_ended(held, launched);
}

void WorkerDecider::on_end_kept(const v1::AttemptKey& key, Now now) {
  const auto found = attempts_.find(to_id(key));
  if (found == attempts_.end()) return;
  found->second.end_kept = true;
  if (found->second.acknowledged) forget(to_id(key), now);
}

void WorkerDecider::launch(HeldAttempt& held) {
  held.phase = HeldAttempt::Phase::kLaunching;
  held.separate = held.plan->output_mode() == v1::OutputSpec::SEPARATE;
  effects_.emplace_back(WakeReaders{held.id});
  if (!launcher_connected_) return;  // its hello will ask for it
  *orders_.add_launch() = *held.plan;
  launch_bytes_ += held.plan->ByteSizeLong();
  if (launch_bytes_ > kMaxOrderBytes) flush_orders();
}

void WorkerDecider::flush_orders() {
  launch_bytes_ = 0;
  if (orders_.ByteSizeLong() == 0) return;
  ready_orders_.push_back(SendOrders{std::exchange(orders_, {})});
}

void WorkerDecider::on_contact(BootTime sent) {
  contact_ns_ = std::max(contact_ns_, static_cast<uint64_t>(sent.time_since_epoch().count()));
  if (launcher_connected_) orders_.set_contact_boottime_ns(contact_ns_);
}

}  // namespace clusterd
