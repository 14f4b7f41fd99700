#include "scheduler/term.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "core/log.h"
#include "rpc/digest.h"
#include "scheduler/look_up.h"

namespace clusterd {
namespace {

constexpr size_t kMostInOneBatch = 1000;
constexpr size_t kMostBytesInOneBatch = 4 << 20;  // far below what a worker takes

}  // namespace

Term::Term(const SchedulerConfig& config, StoreContents contents, TermSurroundings surroundings)
    : around_(std::move(surroundings)),
      scheduler_(config, std::move(contents), around_.clock.now(), &around_.metrics),
      originals_(config, *this,
                 {.clock = around_.clock,
                  .post = around_.post,
                  .next_id = around_.next_id,
                  .make_link = around_.make_original_link}),
      store_thread_(around_.store, around_.metrics.store,
                    [this](uint64_t number, const absl::Status& status) {
                      around_.post([this, number, status] { committed(number, status); });
                    }) {
  durable_event_ = scheduler_.newest_event();
  newest_job_ = scheduler_.newest_job();
  apply(scheduler_.begin(around_.clock.now()));
}

Term::~Term() {
  const absl::Status ended =
      absl::UnavailableError("the scheduler's term ended: outcome unknown, repeat with the key");
  for (auto& [call, done] : calls_) done(ended);
  for (auto& [call, done] : event_waiters_) done(ended);
  for (auto& [stream, port] : sessions_) port.close(absl::UnavailableError("the term ended"));
}

void Term::call(CallId call, Done done, Decide decide) {
  calls_.emplace(call, std::move(done));
  apply(decide(scheduler_, call, around_.clock.now()));
}

void Term::abandon(CallId call) {
  if (auto waiter = event_waiters_.extract(call)) {
    waiter.mapped()(absl::CancelledError("the caller is gone"));
    return;
  }
  const auto found = calls_.find(call);
  if (found == calls_.end()) return;
  scheduler_.abandon(call);
  Done done = std::move(found->second);
  calls_.erase(found);
  done(absl::CancelledError("the caller is gone"));
}

void Term::open_session(StreamId stream, SessionPort port, const v1::SessionHello& hello) {
  sessions_.emplace(stream, std::move(port));
  apply(scheduler_.session_hello(stream, hello, sha256(hello.secret()), around_.clock.now()));
}

void Term::session_message(StreamId stream, const v1::SessionRequest& message) {
  if (!sessions_.contains(stream)) return;
  apply(scheduler_.session_message(stream, message, around_.clock.now()));
}

void Term::session_closed(StreamId stream) {
  sessions_.erase(stream);
  apply(scheduler_.session_closed(stream, around_.clock.now()));
}

void Term::open_original_session(StreamId stream, SessionPort port, const v1::SessionHello& hello) {
  sessions_.emplace(stream, std::move(port));
  // Its record has no secret: no network peer can present the digest of none.
  apply(scheduler_.session_hello(stream, hello, "", around_.clock.now()));
}

void Term::original_gone(const std::string& worker_id, const std::string& reason) {
  apply(scheduler_.original_gone(worker_id, reason, around_.clock.now()));
}

std::shared_ptr<WorkerLink> Term::link_of(const std::string& worker_id) const {
  const auto found = links_.find(worker_id);
  return found == links_.end() ? nullptr : found->second;
}

std::optional<BootTime> Term::turn() {
  apply(scheduler_.tick(around_.clock.now()));
  const auto originals_due = originals_.turn();
  send_starts();
  send_stops();
  const auto due = scheduler_.next_deadline();
  return due && originals_due ? std::min(*due, *originals_due) : due ? due : originals_due;
}

void Term::apply(Decision decision) {
  if (!decision.persist.empty()) {
    const auto& events = decision.persist.put_events;
    if (!events.empty()) {
      events_.push_back({decision.after, events.back().seq(), lines_of(events)});
    }
    store_thread_.submit(decision.after, std::move(decision.persist));
  }
  if (decision.effects.empty()) return;
  if (decision.after <= durable_) {
    perform(std::move(decision.effects));
    return;
  }
  // A read may wait for a commit that is older than the newest one held back.
  auto place = held_.end();
  while (place != held_.begin() && std::prev(place)->first > decision.after) --place;
  held_.emplace(place, decision.after, std::move(decision.effects));
}

std::vector<JobLine> Term::lines_of(const std::vector<v1::Event>& events) {
  std::vector<JobLine> lines;
  const uint64_t before = std::exchange(newest_job_, scheduler_.newest_job());
  if (!is_logged(LogLevel::kDebug)) return lines;
  for (const v1::Event& event : events) {
    if (!event.has_job()) continue;
    const bool is_task = split_task_id(event.job().job_id()).has_value();
    add_job_lines(event.job(), event.job().seq() > before && !is_task, lines);
  }
  return lines;
}

void Term::committed(uint64_t number, const absl::Status& status) {
  if (!status.ok()) {
    around_.on_failure(status);  // this object is gone when it returns
    return;
  }
  durable_ = number;
  scheduler_.committed(number);
  while (!held_.empty() && held_.front().first <= durable_) {
    std::vector<Effect> effects = std::move(held_.front().second);
    held_.pop_front();
    perform(std::move(effects));
  }
  ring();
}

void Term::wait_for_event(CallId call, uint64_t since,
                          absl::AnyInvocable<void(absl::Status)> done) {
  if (since < durable_event_) return done(absl::OkStatus());
  if (since > durable_event_) {
    return done(field_error(absl::StatusCode::kOutOfRange, "since",
                            absl::StrCat(since, ", the newest event is ", durable_event_)));
  }
  event_waiters_.emplace(call, std::move(done));
}

void Term::ring() {
  const uint64_t before = durable_event_;
  while (!events_.empty() && events_.front().commit <= durable_) {
    durable_event_ = events_.front().newest;
    for (const JobLine& line : events_.front().lines) log_job(line);
    events_.pop_front();
  }
  if (durable_event_ == before) return;
  for (auto& [call, done] : std::exchange(event_waiters_, {})) done(absl::OkStatus());
}

void Term::perform(std::vector<Effect> effects) {
  for (Effect& effect : effects) {
    std::visit([this](auto& one) { perform(std::move(one)); }, effect);
  }
}

void Term::perform(Reply effect) {
  const auto found = calls_.find(effect.call);
  if (found == calls_.end()) return;  // abandoned
  Done done = std::move(found->second);
  calls_.erase(found);
  done(std::move(effect.answer));
}

void Term::perform(LookUp effect) {
  around_.read([this, effect = std::move(effect), &store = around_.store, post = around_.post] {
    auto found = look_up(store, effect);
    post([this, id = effect.id, found = std::move(found)]() mutable {
      apply(scheduler_.looked_up(id, std::move(found), around_.clock.now()));
    });
  });
}

void Term::perform(FindExpired effect) {
  around_.read([this, effect, &store = around_.store, post = around_.post] {
    auto ids = store.find_expired(effect.before, effect.max_jobs, effect.limit);
    if (!ids.ok())
      return log_error("scheduler", "cannot look for what is too old", {{"error", ids.status()}});
    post([this, ids = *std::move(ids)] { apply(scheduler_.expired(ids, around_.clock.now())); });
  });
}

void Term::perform(FindMatching effect) {
  around_.read([this, effect = std::move(effect), &store = around_.store, post = around_.post] {
    auto found = find_matching(store, effect);
    post([this, id = effect.id, found = std::move(found)]() mutable {
      apply(scheduler_.matched(id, std::move(found), around_.clock.now()));
    });
  });
}

void Term::perform(SendDoomed effect) {
  around_.read([this, effect = std::move(effect), &store = around_.store,
                post = around_.post]() mutable {
    auto ids = store.find_doomed(effect.worker_id, kMostInOneBatch);
    if (!ids.ok() || ids->empty()) return;  // asked again when something is deleted
    for (std::string& id : *ids) {
      effect.message.mutable_delete_outputs()->add_job_ids(std::move(id));
    }
    post([this, effect = std::move(effect)] { perform(SendDown{effect.stream, effect.message}); });
  });
}

void Term::perform(Dispatch effect) {
  log_order(effect);
  starts_[{effect.worker_id, effect.session}].push_back(std::move(effect.attempt));
}

void Term::perform(StopAttempt effect) {
  stops_[{effect.worker_id, effect.session}].push_back(std::move(effect.key));
}

void Term::send_starts() {
  for (auto& [target, attempts] : std::exchange(starts_, {})) {
    const auto& [worker_id, session] = target;
    const std::shared_ptr<WorkerLink> link = link_of(worker_id);
    for (size_t next = 0; next < attempts.size();) {
      v1::StartJobsRequest request;
      request.set_epoch(scheduler_.epoch());
      request.set_session(session);
      std::vector<v1::AttemptKey> keys;
      for (size_t bytes = 0;
           next < attempts.size() && keys.size() < kMostInOneBatch && bytes < kMostBytesInOneBatch;
           ++next) {
        bytes += attempts[next].ByteSizeLong();
        keys.push_back(attempts[next].key());
        *request.add_attempts() = std::move(attempts[next]);
      }
      auto done = [this, worker_id = worker_id, session = session, keys = std::move(keys),
                   post = around_.post](absl::StatusOr<v1::StartJobsResponse> answer) {
        post([this, worker_id, session, keys, answer = std::move(answer)] {
          apply(scheduler_.start_answered(worker_id, session, keys, answer, around_.clock.now()));
        });
      };
      if (link == nullptr) {
        done(absl::UnavailableError("no link"));
      } else {
        link->start_jobs(std::move(request), std::move(done));
      }
    }
  }
}

void Term::send_stops() {
  for (auto& [target, keys] : std::exchange(stops_, {})) {
    const auto& [worker_id, session] = target;
    v1::StopJobsRequest request;
    request.set_epoch(scheduler_.epoch());
    request.set_session(session);
    for (const v1::AttemptKey& key : keys) *request.add_keys() = key;
    auto done = [this, worker_id = worker_id, session = session, keys = keys,
                 post = around_.post](const absl::StatusOr<v1::StopJobsResponse>& answer) {
      post([this, worker_id, session, keys, status = answer.status()] {
        apply(scheduler_.stop_answered(worker_id, session, keys, status, around_.clock.now()));
      });
    };
    const std::shared_ptr<WorkerLink> link = link_of(worker_id);
    if (link == nullptr) {
      done(absl::UnavailableError("no link"));
    } else {
      link->stop_jobs(std::move(request), std::move(done));
    }
  }
}

void Term::perform(SignalAttempt effect) {
  const std::shared_ptr<WorkerLink> link = link_of(effect.worker_id);
  if (link == nullptr) {
    signal_answered(effect, absl::UnavailableError("the job's worker cannot be reached"));
    return;
  }
  link->signal_job(effect.request, [this, effect, post = around_.post](
                                       const absl::StatusOr<v1::SignalAttemptResponse>& answer) {
    post([this, effect, status = answer.status()] { signal_answered(effect, status); });
  });
}

void Term::signal_answered(const SignalAttempt& effect, const absl::Status& status) {
  if (status.ok()) return perform(Reply{effect.call, Answer(effect.job)});
  perform(Reply{effect.call, status});
  if (effect.request_key.empty()) return;
  apply(scheduler_.signal_failed(effect.request_key, around_.clock.now()));
}

void Term::perform(CallBack effect) {
  std::shared_ptr<WorkerLink>& link = links_[effect.worker_id];
  if (auto original = originals_.link_of(effect.worker_id)) {
    link = std::move(original);
  } else if (effect.fresh || link == nullptr) {
    link = around_.make_link(effect.name, effect.address);
  }
  link->identify([this, effect, post = around_.post](absl::StatusOr<v1::WorkerIdentity> answer) {
    post([this, effect, answer = std::move(answer)] {
      if (!answer.ok()) {
        log_debug("scheduler", "a worker does not answer when called back",
                  {{"worker_id", effect.worker_id},
                   {"address", effect.address},
                   {"error", answer.status()}});
      }
      apply(scheduler_.called_back(effect.worker_id, effect.session, answer, around_.clock.now()));
    });
  });
}

void Term::perform(SendDown effect) {
  const auto found = sessions_.find(effect.stream);
  if (found != sessions_.end()) found->second.send(std::move(effect.message));
}

void Term::perform(AdmitOriginal effect) { originals_.admit(std::move(effect)); }

void Term::perform(DismissOriginal effect) {
  originals_.dismiss(effect.worker_id);
  links_.erase(effect.worker_id);
}

void Term::perform(ReleaseOriginal effect) { originals_.release(effect.worker_id, effect.key); }

void Term::perform(CloseStream effect) {
  const auto found = sessions_.find(effect.stream);
  if (found == sessions_.end()) return;
  SessionPort port = std::move(found->second);
  sessions_.erase(found);
  port.close(effect.status);
}

}  // namespace clusterd
