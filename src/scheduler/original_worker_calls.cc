// The calls to the worker, and what they bring.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/original_words.h"
#include "core/proto_time.h"
#include "core/worker_protocol.h"
#include "scheduler/original_worker.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Kind = OriginalCall::Kind;

// A process that starts at an address registers within its first second.
constexpr seconds kQuiet(2);
constexpr milliseconds kFirstPause(100);
constexpr seconds kLongestPause(2);
constexpr milliseconds kPauseAfterStop(50);
constexpr milliseconds kFirstRetry(200);
constexpr uint32_t kMostRetryDoublings = 5;

// No word from a worker of the protocol: the call may have been carried out, or not.
bool is_no_answer(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnimplemented:
      return true;
    case absl::StatusCode::kUnknown:
      return status.message() == "Stream removed";  // gRPC's word for a connection that broke
    default:
      return false;
  }
}

absl::Status refusal(const absl::Status& status) {
  // The originals answer their failures with UNKNOWN: what they refuse is what they were asked.
  if (absl::IsUnknown(status)) return absl::InvalidArgumentError(status.message());
  return status;
}

}  // namespace

void OriginalWorker::call(Kind kind, const Key& key, const std::string& remote_id,
                          const v1::JobSpec* spec) {
  OriginalCall call{.id = ++last_call_, .kind = kind, .remote_id = remote_id, .spec = {}};
  if (spec != nullptr) call.spec = *spec;
  calls_[call.id] = {kind, key, remote_id};
  effects_.emplace_back(std::move(call));
}

void OriginalWorker::probe(Now now) {
  if (probing_ || dead_) return;
  probing_ = true;
  next_probe_ = now.boot + settings_.probe_interval;
  call(Kind::kProbe, {}, known_id_, nullptr);
}

void OriginalWorker::in_touch(Now now) {
  touch_ = Touch::kIn;
  failures_ = 0;
  last_touch_ = now.boot;
  next_probe_ = now.boot + settings_.probe_interval;
  if (now.boot >= next_say_ && is_heard(now)) say_alive(now);
}

void OriginalWorker::out_of_touch(const absl::Status& why, Now now) {
  fault_ = std::string(why.message());
  const auto pause = kFirstRetry * (1U << std::min(failures_, kMostRetryDoublings));
  ++failures_;
  next_probe_ = now.boot + std::min<nanoseconds>(pause, settings_.probe_interval);
  fail_waiting(why);
  // Slow is not gone: the scheduler's clocks of silence decide about one that hangs.
  if (absl::IsDeadlineExceeded(why) && touch_ == Touch::kIn) return;
  if (touch_ == Touch::kIn) doubtful_ = true;
  touch_ = Touch::kOut;
  quiet_until_.reset();
  close_session(now);
}

void OriginalWorker::answered(uint64_t call, const absl::StatusOr<OriginalAnswer>& answer,
                              Now now) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) return;
  const PendingCall pending = std::move(found->second);
  calls_.erase(found);
  if (pending.kind == Kind::kProbe) return probed(pending, answer.status(), now);
  if (const auto held = attempts_.find(pending.key); held != attempts_.end()) {
    held->second.call_under_way = false;
  }
  if (is_no_answer(answer.status())) {
    if (pending.kind == Kind::kStart) start_answered(pending, answer, now);
    return out_of_touch(answer.status(), now);
  }
  if (touch_ == Touch::kIn) in_touch(now);
  switch (pending.kind) {
    case Kind::kStart:
      return start_answered(pending, answer, now);
    case Kind::kQuery:
      return query_answered(pending.key, answer, now);
    case Kind::kStop:
      return stop_answered(pending.key, answer.status(), now);
    case Kind::kProbe:
      return;
  }
}

void OriginalWorker::probed(const PendingCall& pending, const absl::Status& status, Now now) {
  probing_ = false;
  if (dead_) return;
  if (absl::IsUnimplemented(status)) {
    return out_of_touch(
        absl::UnavailableError(absl::StrCat("what answers there is no worker of the protocol ",
                                            std::string(word_of(settings_.protocol)))),
        now);
  }
  if (is_no_answer(status)) return out_of_touch(status, now);
  const bool knows_it = !pending.remote_id.empty() && status.ok();
  if (doubtful_ && !pending.remote_id.empty() && !knows_it) {
    dead_ = true;
    fail_waiting(absl::UnavailableError("another process answers at its address"));
    effects_.emplace_back(WorkerGone{"another process answers at its address"});
    return;
  }
  if (!pending.remote_id.empty() && !knows_it && pending.remote_id == known_id_) {
    known_id_.clear();  // it keeps its jobs for a while only
  }
  if (doubtful_ && !knows_it) quiet_until_ = now.boot + kQuiet;
  doubtful_ = false;
  in_touch(now);
  send_waiting(now);
}

void OriginalWorker::send_waiting(Now now) {
  (void)now;
  const bool stopping = std::any_of(calls_.begin(), calls_.end(), [](const auto& entry) {
    return entry.second.kind == Kind::kStop;
  });
  if (stopping && is_go_work()) return;  // the stop would hit what is started meanwhile
  for (auto& [key, held] : attempts_) {
    if (held.phase != Phase::kWaiting || held.call_under_way) continue;
    held.phase = Phase::kStarting;
    held.call_under_way = true;
    call(Kind::kStart, key, held.attempt.remote_id(), &held.spec);
  }
}

void OriginalWorker::fail_waiting(const absl::Status& why) {
  std::vector<std::pair<uint64_t, Key>> failed;
  for (const auto& [key, held] : attempts_) {
    if (held.phase == Phase::kWaiting) failed.emplace_back(held.order, key);
  }
  for (const auto& [order, key] : failed) {
    attempts_.erase(key);
    settle(order, key, absl::UnavailableError(why.message()));
  }
}

void OriginalWorker::start_answered(const PendingCall& pending,
                                    const absl::StatusOr<OriginalAnswer>& answer, Now now) {
  const auto found = attempts_.find(pending.key);
  if (found == attempts_.end() || found->second.phase != Phase::kStarting) return;
  Held& held = found->second;
  const uint64_t order = held.order;
  if (answer.ok()) {
    if (!is_go_work()) known_id_ = answer->remote_id;
    held.pause = kFirstPause;
    held.next_call = now.boot + (held.stop_wanted ? nanoseconds(0) : nanoseconds(held.pause));
    began(held, answer->remote_id, now);
    return settle(order, pending.key, absl::OkStatus());
  }
  if (is_no_answer(answer.status()) &&
      !absl::IsUnimplemented(answer.status())) {  // it may have been started: never sent again
    held.phase = Phase::kUnsure;
    if (!is_go_work()) {
      v1::JobEnd end;
      end.set_reason(v1::JobEnd::EXIT_STATUS_UNKNOWN);
      end.set_message(absl::StrCat("the worker did not say whether it has started it: ",
                                   std::string(answer.status().message())));
      ended(pending.key, std::move(end), now);
    }
    return settle(order, pending.key, absl::OkStatus());
  }
  // Not started. Under another session than the current one nobody waits for the verdict: the
  // next inventory tells it.
  if (held.session != session_) close_session(now);
  attempts_.erase(found);
  if (!absl::IsAlreadyExists(answer.status())) {
    return settle(order, pending.key, refusal(answer.status()));
  }
  settle(order, pending.key, absl::UnavailableError(answer.status().message()));
  // It has finished what we gave it and has not put it down.
  if (status_ == OriginalStatus::kIdle && !finished_id_.empty()) {
    call(Kind::kStop, {}, std::exchange(finished_id_, ""), nullptr);
  }
}

void OriginalWorker::ask_after(const Key& key, Held& held, Now now) {
  const bool may_run = held.phase == Phase::kRunning || held.phase == Phase::kUnsure;
  if (!may_run) return;
  if (held.stop_wanted && !held.stop_sent) {
    held.call_under_way = true;
    held.next_call = now.boot + kLongestPause;
    return call(Kind::kStop, key, held.attempt.remote_id(), nullptr);
  }
  if (is_go_work() || held.phase != Phase::kRunning) return;
  held.call_under_way = true;
  held.pause = std::clamp<nanoseconds>(held.pause * 2, kFirstPause, kLongestPause);
  call(Kind::kQuery, key, held.attempt.remote_id(), nullptr);
}

void OriginalWorker::query_answered(const Key& key, const absl::StatusOr<OriginalAnswer>& answer,
                                    Now now) {
  const auto found = attempts_.find(key);
  if (found == attempts_.end() || found->second.phase != Phase::kRunning) return;
  Held& held = found->second;
  held.next_call = now.boot + held.pause;
  if (answer.ok() && !answer->done) return;
  if (answer.ok()) {
    return ended(key, end_of_original(answer->error, answer->error_text, held.stop_sent), now);
  }
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::EXIT_STATUS_UNKNOWN);
  end.set_message(
      absl::StrCat("the worker no longer knows it: ", std::string(answer.status().message())));
  ended(key, std::move(end), now);
}

void OriginalWorker::stop_answered(const Key& key, const absl::Status& status, Now now) {
  send_waiting(now);
  const auto found = attempts_.find(key);
  if (found == attempts_.end()) return;
  Held& held = found->second;
  if (!is_go_work()) {  // how it ended is asked for; also where it is unknown there
    held.stop_sent = true;
    held.pause = kPauseAfterStop;
    held.next_call = now.boot + held.pause;
    return;
  }
  if (!status.ok()) return;  // tried again at next_call
  held.stop_sent = true;
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::STOP_REQUESTED);
  end.set_message("the worker has stopped it");
  ended(key, std::move(end), now);
}

}  // namespace clusterd
