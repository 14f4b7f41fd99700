// The session that the scheduler sees, and the orders that come through it.

#include "scheduler/original_worker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/worker_protocol.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReopenAfter(200);
constexpr int kIdleHeartbeatsOfTheEnd = 2;

v1::AttemptKey to_key(const std::pair<std::string, uint32_t>& key) {
  v1::AttemptKey proto;
  proto.set_job_id(key.first);
  proto.set_attempt(key.second);
  return proto;
}

void set_earlier(std::optional<BootTime>& deadline, BootTime at) {
  deadline = std::min(deadline.value_or(at), at);
}

}  // namespace

OriginalWorker::OriginalWorker(std::string worker_id, Settings settings,
                               std::vector<v1::HeldAttempt> held, bool remembered, Now now)
    : worker_id_(std::move(worker_id)),
      settings_(settings),
      doubtful_(remembered),
      last_touch_(now.boot),
      next_probe_(now.boot),
      next_open_(now.boot),
      next_say_(now.boot) {
  for (v1::HeldAttempt& attempt : held) {
    const Key key{attempt.key().job_id(), attempt.key().attempt()};
    Held& kept = attempts_[key];
    kept.phase = attempt.started() ? Phase::kRunning : Phase::kUnsure;
    kept.next_call = now.boot;
    if (!is_go_work()) known_id_ = attempt.remote_id();
    kept.attempt = std::move(attempt);
  }
  // It was heard before this term: its silence counts from now on.
  if (remembered && is_go_work()) last_heartbeat_ = now.boot;
}

bool OriginalWorker::is_heard(Now now) const {
  if (!is_go_work()) return true;
  return last_heartbeat_ && now.boot - *last_heartbeat_ <= settings_.heartbeat_timeout;
}

bool OriginalWorker::may_open(Now now) const {
  return touch_ == Touch::kIn && !quiet_until_ && !dead_ && is_heard(now);
}

absl::Status OriginalWorker::identify(Now now) const {
  if (touch_ == Touch::kOut) return absl::UnavailableError(fault_);
  if (!is_heard(now)) {
    return absl::UnavailableError(last_heartbeat_ ? "its heartbeats have stopped"
                                                  : "it has sent no heartbeat yet");
  }
  if (!may_open(now)) return absl::UnavailableError("it has not answered yet");
  return absl::OkStatus();
}

std::string OriginalWorker::occupation() const {
  if (status_ == OriginalStatus::kFailed) return "says that it has failed";
  const bool ours = std::any_of(attempts_.begin(), attempts_.end(), [](const auto& entry) {
    return entry.second.phase != Phase::kEnded;
  });
  return status_ == OriginalStatus::kBusy && !ours ? "works on something that is not from here"
                                                   : "";
}

void OriginalWorker::open_session(Now now) {
  session_phase_ = Session::kOpening;
  events_.clear();
  OpenSession open;
  open.hello.mutable_identity()->set_worker_id(worker_id_);
  // Orders of an earlier term whose outcome is not on record are known to nobody.
  open.hello.mutable_identity()->set_journal_id(absl::StrCat("epoch ", settings_.epoch));
  for (const auto& [key, held] : attempts_) *open.hello.add_inventory() = held.attempt;
  next_say_ = now.boot;
  effects_.emplace_back(std::move(open));
}

void OriginalWorker::close_session(Now now) {
  if (session_phase_ == Session::kClosed) return;
  session_closed(now);
  effects_.emplace_back(CloseSession{});
}

void OriginalWorker::session_closed(Now now) {
  session_phase_ = Session::kClosed;
  next_open_ = now.boot + kReopenAfter;
  fail_waiting(absl::UnavailableError("the session has closed"));  // ordered anew in the next
}

void OriginalWorker::say(v1::SessionRequest message) {
  message.set_epoch(settings_.epoch);
  message.set_session(session_);
  effects_.emplace_back(SayInSession{std::move(message)});
}

void OriginalWorker::say_alive(Now now) {
  if (session_phase_ != Session::kOpen || touch_ != Touch::kIn) return;
  next_say_ = now.boot + settings_.probe_interval / 2;
  v1::SessionRequest message;
  message.mutable_heartbeat()->set_occupied(occupation());
  say(std::move(message));
}

void OriginalWorker::add_event(v1::JobEvent event, const Held& held, Now now) {
  *event.mutable_key() = held.attempt.key();
  *event.mutable_time() = to_proto(now.wall);
  if (session_phase_ == Session::kOpening) events_.push_back(std::move(event));
  if (session_phase_ != Session::kOpen) return;  // the next inventory has it
  v1::SessionRequest message;
  *message.mutable_events()->add_events() = std::move(event);
  say(std::move(message));
}

void OriginalWorker::told(const v1::SessionResponse& message, Now now) {
  if (message.has_welcome() && session_phase_ == Session::kOpening) {
    session_phase_ = Session::kOpen;
    session_ = message.welcome().session();
    v1::SessionRequest news;
    for (v1::JobEvent& event : events_) *news.mutable_events()->add_events() = std::move(event);
    events_.clear();
    if (news.has_events()) say(std::move(news));
    return say_alive(now);
  }
  for (const v1::AttemptKey& key : message.acknowledged().keys()) forget(key);
  for (const v1::AttemptKey& key : message.fenced().keys()) {
    const auto found = attempts_.find({key.job_id(), key.attempt()});
    if (found == attempts_.end()) continue;
    found->second.fenced = true;
    found->second.stop_wanted = true;
    found->second.next_call = now.boot;
    if (found->second.phase == Phase::kEnded) attempts_.erase(found);
  }
}

void OriginalWorker::forget(const v1::AttemptKey& key) {
  const auto found = attempts_.find({key.job_id(), key.attempt()});
  if (found == attempts_.end()) return;
  const Held& held = found->second;
  if (is_go_work()) finished_id_ = held.attempt.remote_id();
  if (held.order != 0) settle(held.order, found->first, absl::OkStatus());
  attempts_.erase({key.job_id(), key.attempt()});
}

void OriginalWorker::start(uint64_t order, const v1::StartJobsRequest& request,
                           const std::vector<std::string>& remote_ids, Now now) {
  if (session_phase_ != Session::kOpen || request.session() != session_) {
    effects_.emplace_back(
        AnswerOrder{order, absl::FailedPreconditionError("not of the current session"), {}});
    return;
  }
  Order& kept = orders_[order];
  for (int i = 0; i < request.attempts_size(); ++i) {
    const v1::StartAttempt& attempt = request.attempts(i);
    const Key key{attempt.key().job_id(), attempt.key().attempt()};
    kept.keys.push_back(key);
    Held& held = attempts_[key];
    if (held.attempt.has_key()) {  // asked for twice: started once
      kept.verdicts[key] = absl::OkStatus();
      continue;
    }
    *held.attempt.mutable_key() = attempt.key();
    if (is_go_work()) held.attempt.set_remote_id(remote_ids[static_cast<size_t>(i)]);
    held.spec = attempt.spec();
    held.order = order;
    held.session = session_;
  }
  if (kept.verdicts.size() == kept.keys.size()) {
    const Key key = kept.keys.front();
    return settle(order, key, absl::OkStatus());
  }
  probe(now);
}

void OriginalWorker::settle(uint64_t order, const Key& key, const absl::Status& verdict) {
  const auto found = orders_.find(order);
  if (found == orders_.end()) return;
  found->second.verdicts[key] = verdict;
  if (const auto held = attempts_.find(key); held != attempts_.end()) held->second.order = 0;
  if (found->second.verdicts.size() < found->second.keys.size()) return;
  AnswerOrder answer{.order = order, .status = absl::OkStatus(), .verdicts = {}};
  for (const Key& one : found->second.keys) {
    const absl::Status& status = found->second.verdicts[one];
    // Not started, and no fault of the job's: the order is given again.
    if (absl::IsUnavailable(status)) answer.status = status;
    v1::StartVerdict& said = *answer.verdicts.add_verdicts();
    *said.mutable_key() = to_key(one);
    if (!status.ok()) *said.mutable_refusal() = to_proto(status);
  }
  orders_.erase(found);
  effects_.emplace_back(std::move(answer));
}

void OriginalWorker::stop(uint64_t order, const v1::StopJobsRequest& request, Now now) {
  for (const v1::AttemptKey& wanted : request.keys()) {
    const Key key{wanted.job_id(), wanted.attempt()};
    Held& held = attempts_[key];
    *held.attempt.mutable_key() = wanted;
    if (held.phase == Phase::kWaiting) {  // never sent, and never will be
      v1::JobEnd end;
      end.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
      end.set_message("stopped before it was started");
      ended(key, std::move(end), now);
    } else if (held.phase != Phase::kEnded && !held.stop_sent) {
      held.stop_wanted = true;
      held.next_call = now.boot;
    }
  }
  effects_.emplace_back(AnswerOrder{order, absl::OkStatus(), {}});
}

void OriginalWorker::began(Held& held, const std::string& remote_id, Now now) {
  held.phase = Phase::kRunning;
  held.attempt.set_started(true);
  held.attempt.set_remote_id(remote_id);
  *held.attempt.mutable_start_time() = to_proto(now.wall);
  v1::JobEvent event;
  event.mutable_started()->set_remote_id(remote_id);
  add_event(std::move(event), held, now);
}

void OriginalWorker::ended(const Key& key, v1::JobEnd end, Now now) {
  const auto found = attempts_.find(key);
  if (found == attempts_.end() || found->second.phase == Phase::kEnded) return;
  Held& held = found->second;
  held.phase = Phase::kEnded;
  if (is_go_work()) finished_id_ = held.attempt.remote_id();
  *held.attempt.mutable_end() = std::move(end);
  *held.attempt.mutable_end_time() = to_proto(now.wall);
  v1::JobEvent event;
  *event.mutable_ended() = held.attempt.end();
  if (!held.fenced) add_event(std::move(event), held, now);
  const uint64_t order = held.order;
  if (held.fenced) attempts_.erase(found);
  if (order != 0) settle(order, key, absl::OkStatus());
}

void OriginalWorker::heard(OriginalStatus status, Now now) {
  last_heartbeat_ = now.boot;
  stale_ = false;
  status_ = status;
  if (touch_ != Touch::kIn) probe(now);
  std::vector<Key> over;
  for (auto& [key, held] : attempts_) {
    if (held.phase != Phase::kRunning && held.phase != Phase::kUnsure) continue;
    if (status == OriginalStatus::kBusy) {
      held.idle_heartbeats = 0;
      if (held.phase == Phase::kUnsure) began(held, held.attempt.remote_id(), now);
    } else if (status == OriginalStatus::kIdle &&
               ++held.idle_heartbeats >= kIdleHeartbeatsOfTheEnd) {
      over.push_back(key);  // the first may have been on its way when it began
    }
  }
  for (const Key& key : over) {
    v1::JobEnd end;
    end.set_reason(v1::JobEnd::EXIT_STATUS_UNKNOWN);
    end.set_message("the worker is idle and has not told how it ended");
    ended(key, std::move(end), now);
  }
  say_alive(now);
}

void OriginalWorker::tick(Now now) {
  if (quiet_until_ && *quiet_until_ <= now.boot) quiet_until_.reset();
  if (!is_go_work() && touch_ != Touch::kIn && now.boot - last_touch_ >= settings_.lost_after) {
    dead_ = true;
  }
  if (dead_) return;
  if (now.boot >= next_probe_) probe(now);
  stale_ = !is_heard(now);
  if (stale_) close_session(now);
  if (touch_ != Touch::kIn) return;
  for (auto& [key, held] : attempts_) {
    if (!held.call_under_way && held.next_call <= now.boot) ask_after(key, held, now);
  }
  if (session_phase_ == Session::kClosed && may_open(now) && now.boot >= next_open_) {
    open_session(now);
  }
}

std::optional<BootTime> OriginalWorker::next_deadline() const {
  if (dead_) return std::nullopt;
  std::optional<BootTime> deadline;
  if (!probing_) set_earlier(deadline, next_probe_);
  if (!is_go_work() && touch_ != Touch::kIn) {
    set_earlier(deadline, last_touch_ + settings_.lost_after);
  }
  if (touch_ != Touch::kIn) return deadline;
  if (quiet_until_) {
    set_earlier(deadline, *quiet_until_);
  } else if (session_phase_ == Session::kClosed && !stale_ && (!is_go_work() || last_heartbeat_)) {
    set_earlier(deadline, next_open_);
  }
  if (is_go_work() && last_heartbeat_ && !stale_) {
    set_earlier(deadline, *last_heartbeat_ + settings_.heartbeat_timeout + milliseconds(1));
  }
  for (const auto& [key, held] : attempts_) {
    const bool asks = (held.phase == Phase::kRunning && !is_go_work()) ||
                      (held.stop_wanted && !held.stop_sent && held.phase != Phase::kStarting);
    if (asks && held.phase != Phase::kEnded && !held.call_under_way) {
      set_earlier(deadline, held.next_call);
    }
  }
  return deadline;
}

std::vector<OriginalEffect> OriginalWorker::take_effects() { return std::exchange(effects_, {}); }

std::string OriginalWorker::member_status(Now now) const {
  if (!last_heartbeat_) return "unknown, unknown";
  if (now.boot - *last_heartbeat_ > settings_.heartbeat_timeout) return "left, unknown";
  switch (status_) {
    case OriginalStatus::kIdle:
      return "alive, idle";
    case OriginalStatus::kBusy:
      return "alive, busy";
    case OriginalStatus::kFailed:
      return "alive, failed";
    case OriginalStatus::kUnknown:
      break;
  }
  return "alive, unknown";
}

}  // namespace clusterd
