#include "worker/worker_decider.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/field_error.h"
#include "core/proto_time.h"

namespace clusterd {
namespace {

// Longer than any deadline of a start call.
constexpr std::chrono::seconds kRememberForgotten(60);
constexpr size_t kMaxEventsInMessage = 1000;

std::string session_text(uint64_t epoch, uint64_t session) {
  return "session " + std::to_string(session) + " of epoch " + std::to_string(epoch);
}

}  // namespace

WorkerDecider::WorkerDecider(std::function<std::string(const v1::AttemptKey&)> output_folder)
    : output_folder_(std::move(output_folder)) {}

std::vector<v1::HeldAttempt> WorkerDecider::on_session_opening(uint64_t epoch) {
  phase_ = SessionPhase::kOpening;
  epoch_ = std::max(epoch_, epoch);
  session_ = 0;
  events_.clear();  // the inventory says it all
  // What is late of an earlier session is refused for that. What a later one asks for is meant, as
  // by a scheduler with an older copy of its store.
  forgotten_.clear();
  forgotten_order_.clear();
  std::vector<v1::HeldAttempt> inventory;
  inventory.reserve(attempts_.size());
  for (const auto& [id, held] : attempts_) inventory.push_back(describe(held));
  return inventory;
}

void WorkerDecider::on_session_opened(uint64_t epoch, uint64_t session, Now now) {
  phase_ = SessionPhase::kOpen;
  epoch_ = std::max(epoch_, epoch);
  session_ = session;
  for (const auto& [id, held] : attempts_) {
    if (held.phase != HeldAttempt::Phase::kRunning || !held.progress) continue;
    *add_event(held, to_proto(now.wall)).mutable_progress() = *held.progress;
  }
  for (auto& [call, request] : std::exchange(parked_, {})) {
    if (auto* start = std::get_if<v1::StartJobsRequest>(&request)) {
      on_start(call, std::move(*start), now);
    } else if (auto* stop = std::get_if<v1::StopJobsRequest>(&request)) {
      on_stop(call, std::move(*stop), now);
    } else {
      on_signal(call, std::get<v1::SignalAttemptRequest>(std::move(request)), now);
    }
  }
}

void WorkerDecider::on_session_closed() {
  phase_ = SessionPhase::kClosed;
  session_ = 0;
  events_.clear();
  const absl::Status closed =
      absl::FailedPreconditionError("the session ended before the command was carried out");
  for (const auto& parked : std::exchange(parked_, {})) reply(parked.first, closed);
  for (const Batch& batch : std::exchange(batches_, {})) reply(batch.call, closed);
  for (const auto& [check, id] : std::exchange(checks_, {})) {
    effects_.emplace_back(WakeReaders{id});
  }
  std::erase_if(attempts_, [](const auto& entry) {
    return entry.second.phase == HeldAttempt::Phase::kChecking;
  });
}

void WorkerDecider::on_acknowledged(const std::vector<v1::AttemptKey>& keys, Now now) {
  for (const v1::AttemptKey& key : keys) {
    const auto found = attempts_.find(to_id(key));
    if (found == attempts_.end() || found->second.phase != HeldAttempt::Phase::kEnded) continue;
    found->second.acknowledged = true;
    if (found->second.end_kept) forget(to_id(key), now);
  }
}

void WorkerDecider::on_fenced(const std::vector<v1::AttemptKey>& keys) {
  for (const v1::AttemptKey& key : keys) {
    const Key id = to_id(key);
    fenced_.insert(id);
    if (orders_.launch_size() > 0) flush_orders();  // the launch goes first
    if (launcher_connected_) *orders_.add_fence() = key;
    google::rpc::Status refusal;
    refusal.set_code(static_cast<int>(absl::StatusCode::kAborted));
    refusal.set_message("job " + id.job_id + " attempt " + std::to_string(id.attempt) +
                        " was fenced");
    settle(id, refusal);
    attempts_.erase(id);
    effects_.emplace_back(WakeReaders{id});
  }
}

absl::Status WorkerDecider::check_current(uint64_t epoch, uint64_t session) const {
  if (phase_ == SessionPhase::kOpen && epoch == epoch_ && session == session_) {
    return absl::OkStatus();
  }
  const std::string current =
      phase_ == SessionPhase::kOpen
          ? session_text(epoch_, session_) + " is current"
          : "this worker has no session, the highest epoch seen is " + std::to_string(epoch_);
  return absl::FailedPreconditionError("the command is of " + session_text(epoch, session) + ", " +
                                       current);
}

template <typename Request>
bool WorkerDecider::is_parked_or_refused(CallId call, const Request& request) {
  // The welcome and the first command come over two connections, in either order.
  if (phase_ == SessionPhase::kOpening && request.epoch() == epoch_) {
    parked_.emplace_back(call, request);
    return true;
  }
  absl::Status status = check_current(request.epoch(), request.session());
  if (status.ok()) return false;
  reply(call, std::move(status));
  return true;
}

void WorkerDecider::on_start(CallId call, v1::StartJobsRequest request, Now /*now*/) {
  if (is_parked_or_refused(call, request)) return;
  if (stopping_) {
    reply(call, absl::FailedPreconditionError("this worker is stopping and takes no new jobs"));
    return;
  }
  Batch batch;
  batch.call = call;
  batch.order.reserve(static_cast<size_t>(request.attempts_size()));
  for (v1::StartAttempt& attempt : *request.mutable_attempts()) {
    start_one(std::move(attempt), batch);
  }
  if (batch.waiting.empty()) {
    answer(batch);
  } else {
    batches_.push_back(std::move(batch));
  }
}

void WorkerDecider::start_one(v1::StartAttempt attempt, Batch& batch) {
  const Key id = to_id(attempt.key());
  batch.order.push_back(id);
  if (fenced_.contains(id)) {
    batch.refused[id].set_code(static_cast<int>(absl::StatusCode::kAborted));
    batch.refused[id].set_message("job " + id.job_id + " attempt " + std::to_string(id.attempt) +
                                  " was fenced");
    return;
  }
  if (forgotten_.contains(id)) return;
  const auto [entry, is_new] = attempts_.try_emplace(id);
  HeldAttempt& held = entry->second;
  if (held.phase != HeldAttempt::Phase::kChecking) return;  // accepted before
  batch.waiting.insert(id);
  if (!is_new) return;
  held.id = id;
  held.trace_parent = attempt.trace_parent();
  checks_.emplace(++last_check_, id);
  effects_.emplace_back(CheckStart{last_check_, std::move(attempt)});
}

HeldAttempt* WorkerDecider::take_check(CheckId check) {
  const auto found = checks_.find(check);
  if (found == checks_.end()) return nullptr;  // its session is over, or it was stopped or fenced
  const auto held = attempts_.find(found->second);
  checks_.erase(found);
  const bool waits = held != attempts_.end() && held->second.phase == HeldAttempt::Phase::kChecking;
  return waits ? &held->second : nullptr;
}

void WorkerDecider::on_checked(CheckId check, absl::StatusOr<internal::LaunchPlan> plan, Now now) {
  HeldAttempt* held = take_check(check);
  if (held == nullptr) return;
  const Key id = held->id;
  if (plan.ok()) {
    held->plan = *std::move(plan);
    launch(*held);
    settle(id, {});
    return;
  }
  const google::rpc::Status refusal = to_proto(plan.status());
  *add_event(*held, to_proto(now.wall)).mutable_refused() = refusal;
  attempts_.erase(id);
  effects_.emplace_back(WakeReaders{id});
  settle(id, refusal);
}

void WorkerDecider::on_ended_before(CheckId check, const v1::HeldAttempt& kept) {
  HeldAttempt* held = take_check(check);
  if (held == nullptr) return;
  internal::LaunchedAttempt launched;
  *launched.mutable_key() = to_key(held->id);
  launched.set_started(kept.started());
  *launched.mutable_start_time() = kept.start_time();
  *launched.mutable_end() = kept.end();
  *launched.mutable_end_time() = kept.end_time();
  if (launched.started()) mark_started(*held, launched);
  mark_ended(*held, launched);
  settle(held->id, {});
}

void WorkerDecider::settle(const Key& key, const google::rpc::Status& refusal) {
  for (Batch& batch : batches_) {
    if (batch.waiting.erase(key) == 0) continue;
    if (refusal.code() != 0) batch.refused[key] = refusal;
    if (batch.waiting.empty()) answer(batch);
  }
  std::erase_if(batches_, [](const Batch& batch) { return batch.waiting.empty(); });
}

void WorkerDecider::answer(const Batch& batch) {
  CallReply answer{batch.call, absl::OkStatus(), {}};
  for (const Key& id : batch.order) {
    v1::StartVerdict& verdict = *answer.start.add_verdicts();
    *verdict.mutable_key() = to_key(id);
    const auto refused = batch.refused.find(id);
    if (refused != batch.refused.end()) *verdict.mutable_refusal() = refused->second;
  }
  effects_.emplace_back(std::move(answer));
}

void WorkerDecider::on_stop(CallId call, v1::StopJobsRequest request, Now now) {
  if (is_parked_or_refused(call, request)) return;
  for (const v1::AttemptKey& key : request.keys()) stop_one(to_id(key), now);
  reply(call, absl::OkStatus());
}

void WorkerDecider::stop_one(const Key& key, Now now) {
  if (fenced_.contains(key) || forgotten_.contains(key)) return;
  HeldAttempt& held = attempts_[key];
  held.id = key;
  held.stop_wanted = true;
  switch (held.phase) {
    case HeldAttempt::Phase::kChecking:  // or never heard of: the end is the tombstone
      end_unstarted(held, now);
      settle(key, {});
      break;
    case HeldAttempt::Phase::kLaunching:
    case HeldAttempt::Phase::kRunning:
      if (orders_.launch_size() > 0) flush_orders();  // the launch goes first
      if (launcher_connected_) *orders_.add_stop() = to_key(key);
      break;
    case HeldAttempt::Phase::kEnded:
      break;
  }
}

void WorkerDecider::on_signal(CallId call, v1::SignalAttemptRequest request, Now /*now*/) {
  if (is_parked_or_refused(call, request)) return;
  const std::string name =
      "job " + request.key().job_id() + " attempt " + std::to_string(request.key().attempt());
  const HeldAttempt* held = find(request.key());
  if (held == nullptr) return reply(call, absl::NotFoundError(name + " is not held here"));
  if (held->phase != HeldAttempt::Phase::kRunning) {
    return reply(call, absl::FailedPreconditionError(name + " is not running"));
  }
  if (!launcher_connected_) {
    return reply(call, absl::UnavailableError("the launcher is being started again; repeat"));
  }
  internal::SignalOrder& order = *orders_.add_signal();
  *order.mutable_key() = request.key();
  order.set_signal(request.signal());
  order.set_main_process_only(request.main_process_only());
  reply(call, absl::OkStatus());
}

void WorkerDecider::reply(CallId call, absl::Status status) {
  effects_.emplace_back(CallReply{call, std::move(status), {}});
}

v1::JobEvent& WorkerDecider::add_event(const HeldAttempt& held,
                                       const google::protobuf::Timestamp& time) {
  v1::JobEvent& event = events_.emplace_back();
  *event.mutable_key() = to_key(held.id);
  *event.mutable_time() = time;
  return event;
}

void WorkerDecider::forget(const Key& key, Now now) {
  if (launcher_connected_) *orders_.add_forget() = to_key(key);
  attempts_.erase(key);
  if (forgotten_.insert(key).second) forgotten_order_.emplace_back(now.boot, key);
}

void WorkerDecider::stop_all(Now now) {
  stopping_ = true;
  std::vector<Key> live_keys;
  for (const auto& [id, held] : attempts_) {
    if (held.phase != HeldAttempt::Phase::kEnded) live_keys.push_back(id);
  }
  for (const Key& id : live_keys) stop_one(id, now);
}

void WorkerDecider::on_progress(const v1::AttemptKey& key, const v1::Progress& progress, Now now) {
  const auto found = attempts_.find(to_id(key));
  if (found == attempts_.end() || found->second.phase != HeldAttempt::Phase::kRunning) return;
  found->second.progress = progress;
  *add_event(found->second, to_proto(now.wall)).mutable_progress() = progress;
}

void WorkerDecider::on_tick(Now now) {
  while (!forgotten_order_.empty() &&
         forgotten_order_.front().first + kRememberForgotten <= now.boot) {
    forgotten_.erase(forgotten_order_.front().second);
    forgotten_order_.pop_front();
  }
}

std::optional<BootTime> WorkerDecider::next_deadline() const {
  if (forgotten_order_.empty()) return std::nullopt;
  return forgotten_order_.front().first + kRememberForgotten;
}

std::vector<WorkerEffect> WorkerDecider::take_effects() {
  std::vector<WorkerEffect> effects;
  flush_orders();
  for (SendOrders& orders : std::exchange(ready_orders_, {}))
    effects.emplace_back(std::move(orders));
  if (phase_ == SessionPhase::kClosed) events_.clear();
  if (phase_ == SessionPhase::kOpen) {
    SendEvents message;
    for (v1::JobEvent& event : std::exchange(events_, {})) {
      message.events.mutable_events()->Add(std::move(event));
      if (message.events.events_size() < static_cast<int>(kMaxEventsInMessage)) continue;
      effects.emplace_back(std::exchange(message, {}));
    }
    if (message.events.events_size() > 0) effects.emplace_back(std::move(message));
  }
  for (WorkerEffect& effect : std::exchange(effects_, {})) effects.push_back(std::move(effect));
  return effects;
}

const HeldAttempt* WorkerDecider::find(const v1::AttemptKey& key) const {
  const auto found = attempts_.find(to_id(key));
  return found == attempts_.end() ? nullptr : &found->second;
}

uint32_t WorkerDecider::live() const {
  return static_cast<uint32_t>(std::count_if(attempts_.begin(), attempts_.end(), [](const auto& e) {
    return e.second.phase != HeldAttempt::Phase::kEnded;
  }));
}

v1::HeldAttempt WorkerDecider::describe(const HeldAttempt& held) const {
  v1::HeldAttempt description;
  *description.mutable_key() = to_key(held.id);
  description.set_started(held.started);
  if (held.started) *description.mutable_start_time() = held.start_time;
  if (held.phase == HeldAttempt::Phase::kEnded) {
    *description.mutable_end() = held.end;
    *description.mutable_end_time() = held.end_time;
  }
  description.set_output_path(output_folder_(description.key()));
  description.set_suspended(held.suspended);
  return description;
}

v1::AttemptStatus WorkerDecider::status_of(const HeldAttempt& held) {
  v1::AttemptStatus status;
  *status.mutable_key() = to_key(held.id);
  status.set_started(held.started);
  if (held.started) *status.mutable_start_time() = held.start_time;
  if (held.phase == HeldAttempt::Phase::kEnded) *status.mutable_end() = held.end;
  status.mutable_outputs()->Assign(held.outputs.begin(), held.outputs.end());
  return status;
}

absl::StatusOr<v1::AttemptStatus> WorkerDecider::query(const v1::AttemptKey& key) const {
  const HeldAttempt* held = find(key);
  if (held != nullptr) return status_of(*held);
  return absl::NotFoundError("job " + key.job_id() + " attempt " + std::to_string(key.attempt()) +
                             " is not held here");
}

std::vector<v1::AttemptStatus> WorkerDecider::list() const {
  std::vector<v1::AttemptStatus> statuses;
  statuses.reserve(attempts_.size());
  for (const auto& [id, held] : attempts_) statuses.push_back(status_of(held));
  return statuses;
}

}  // namespace clusterd
