// Calls about one job: answered at once, when the job changes, or from the store.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kDefaultWait = std::chrono::seconds(30);
constexpr auto kLongestWait = std::chrono::minutes(10);

absl::Status job_not_found(const std::string& job_id) {
  return field_error(absl::StatusCode::kNotFound, "job_id", "job not found: \"" + job_id + "\"");
}

const v1::Attempt* attempt_of(const v1::Job& job, uint32_t number) {
  for (const v1::Attempt& attempt : job.attempts()) {
    if (attempt.number() == number) return &attempt;
  }
  return nullptr;
}

// Known to have no byte of output: nobody need be asked for it.
bool wrote_nothing(const v1::Attempt& attempt) {
  const v1::JobEnd& end = attempt.end();
  if (end.outputs().empty()) return !attempt.has_start_time();  // lost: nobody said how much
  return std::all_of(end.outputs().begin(), end.outputs().end(),
                     [](const v1::OutputStream& output) { return output.total_bytes() == 0; });
}

}  // namespace

bool Scheduler::on_worker(const v1::Job& job, const std::string& worker_filter) {
  if (worker_filter.empty()) return true;
  const auto worker_id = resolve_worker(worker_filter);
  return worker_id.ok() && job.worker_id() == *worker_id;
}

void Scheduler::ask(CallId call, ParkedCall parked, Decision& out) {
  if (LiveJob* live = jobs_.find(parked.job_id)) {
    auto answer = evaluate(parked, live->job);
    if (answer) {
      out.after = std::max(out.after, live->commit);
      return reply(call, *std::move(answer), out);
    }
    live->waiters.edit().push_back(call);
    parked_[call] = std::move(parked);
    return;
  }
  LiveJob* array = nullptr;
  if (unrecorded_task(parked.job_id, &array)) {
    const v1::Job task = unstarted_task(array->job, split_task_id(parked.job_id)->second);
    auto answer = evaluate(parked, task);
    if (answer) {
      out.after = std::max(out.after, array->commit);
      return reply(call, *std::move(answer), out);
    }
    task_waiters_[parked.job_id].push_back(call);
    parked_[call] = std::move(parked);
    return;
  }
  const std::string job_id = parked.job_id;
  parked_[call] = std::move(parked);
  look_up(
      {.job_ids = {job_id}}, call,
      [this, call](absl::StatusOr<LookedUp> found, Decision& later, Now) {
        stored_job(call, found.ok() ? std::move(found->jobs[0]) : found.status(), later);
      },
      out);
}

void Scheduler::stored_job(CallId call, const absl::StatusOr<v1::Job>& job, Decision& out) {
  const auto found = parked_.find(call);
  if (found == parked_.end()) return;
  const ParkedCall parked = std::move(found->second);
  parked_.erase(found);
  if (jobs_.find(parked.job_id) != nullptr) return ask(call, parked, out);  // retried meanwhile
  if (!job.ok()) {
    return reply(call, absl::IsNotFound(job.status()) ? job_not_found(parked.job_id) : job.status(),
                 out);
  }
  auto answer = evaluate(parked, *job);
  if (answer) return reply(call, *std::move(answer), out);
  parked_[call] = parked;  // the worker that has its output is away
  waiting_outputs_.insert(call);
}

std::optional<absl::StatusOr<Answer>> Scheduler::evaluate(const ParkedCall& parked,
                                                          const v1::Job& job) {
  using Result = absl::StatusOr<Answer>;
  if (!on_worker(job, parked.worker_filter)) return Result(job_not_found(parked.job_id));
  switch (parked.kind) {
    case ParkedCall::Kind::kJob:
      return Result(Answer(shown(job)));
    case ParkedCall::Kind::kFirstAnswer: {
      const LiveJob* live = jobs_.find(job.job_id());
      if (live != nullptr && live->submission->start_call != 0) return std::nullopt;
      return Result(Answer(shown(job)));
    }
    case ParkedCall::Kind::kNotRunning:
      return Result(absl::FailedPreconditionError(
          absl::StrCat("job ", job.job_id(), " is ", v1::Job::State_Name(job.state()))));
    case ParkedCall::Kind::kExplained:
      return Result(Answer(explanation(job)));
    case ParkedCall::Kind::kEnd:
      if (!is_final(job.state()) && !parked.expired) return std::nullopt;
      return Result(Answer(shown(job)));
    case ParkedCall::Kind::kOutput:
      return evaluate_output(parked, job);
    case ParkedCall::Kind::kOutcome: {
      const v1::Attempt* attempt = attempt_of(job, parked.attempt);
      if (attempt == nullptr) return Result(job_not_found(parked.job_id));
      if (!attempt->has_end() && !is_final(job.state()) && !parked.expired) return std::nullopt;
      return Result(Answer(AttemptOutcome{
          job.state(), job.attempt() > parked.attempt || job.state() == v1::Job::QUEUED}));
    }
  }
  return std::nullopt;
}

std::optional<absl::StatusOr<Answer>> Scheduler::evaluate_output(const ParkedCall& parked,
                                                                 const v1::Job& job) {
  using Result = absl::StatusOr<Answer>;
  const uint32_t number = parked.attempt == 0 ? job.attempt() : parked.attempt;
  if (number > job.attempt()) {
    const bool may_come = number == job.attempt() + 1 && !is_final(job.state());
    if (parked.follow && may_come) return std::nullopt;
    return Result(field_error(absl::StatusCode::kNotFound, "attempt",
                              absl::StrCat(number, ", the newest is ", job.attempt())));
  }
  const bool starting = number == job.attempt() && job.state() == v1::Job::STARTING;
  if (number == 0 || starting) {
    if (parked.follow && !is_final(job.state())) return std::nullopt;
    return Result(Answer(OutputLocation{shown(job), 0, "", 0}));
  }
  const v1::Attempt* attempt = attempt_of(job, number);
  if (attempt == nullptr) {
    return Result(field_error(absl::StatusCode::kNotFound, "attempt", absl::StrCat(number)));
  }
  OutputLocation location{shown(job), number, "", 0};
  if (!attempt->remote_id().empty()) {
    return Result(absl::UnimplementedError(absl::StrCat(
        "the output is on worker ", attempt->worker_id(),
        ", whose protocol has no way to read it; it is in that worker's own files, if anywhere")));
  }
  if (attempt->has_end() && wrote_nothing(*attempt)) return Result(Answer(location));
  const WorkerEntry* worker = workers_.find(attempt->worker_id());
  const bool reachable = worker != nullptr && worker->stream != 0 && worker->called_back;
  bool wait_for_worker = !reachable && worker != nullptr && worker->state() == v1::Worker::ALIVE;
  if (parked.resuming) {  // it was there a moment ago, and this stream has not outlived it
    wait_for_worker = worker != nullptr && (!reachable || worker->session == parked.session);
  }
  wait_for_worker = wait_for_worker && parked.follow && !parked.expired;
  if (wait_for_worker) return std::nullopt;
  if (!reachable) {
    return Result(absl::UnavailableError(absl::StrCat(
        "the output is on worker ", worker == nullptr ? attempt->worker_id() : worker->name(),
        ", which cannot be reached now")));
  }
  location.worker_id = worker->id();
  location.session = worker->session;
  return Result(Answer(location));
}

void Scheduler::reconsider(LiveJob& live, Decision& out) {
  if (live.waiters->empty()) return;
  std::vector<CallId> still_waiting;
  for (const CallId call : std::exchange(live.waiters.edit(), {})) {
    const auto found = parked_.find(call);
    if (found == parked_.end()) continue;
    auto answer = evaluate(found->second, live.job);
    if (!answer) {
      still_waiting.push_back(call);
      continue;
    }
    out.after = std::max(out.after, live.commit);
    parked_.erase(found);
    reply(call, *std::move(answer), out);
  }
  if (is_final(live.job.state())) {  // it will leave the table
    waiting_outputs_.insert(still_waiting.begin(), still_waiting.end());
    still_waiting.clear();
  }
  live.waiters.edit() = std::move(still_waiting);
}

void Scheduler::reconsider_outputs_of(const WorkerEntry& worker, Decision& out) {
  for (const std::string& job_id : worker.jobs) {
    if (LiveJob* live = jobs_.find(job_id)) reconsider(*live, out);
  }
  for (const CallId call : std::exchange(waiting_outputs_, {})) ask_again(call, out);
}

void Scheduler::ask_again(CallId call, Decision& out) {
  const auto found = parked_.find(call);
  if (found == parked_.end()) return;
  ParkedCall parked = std::move(found->second);
  unpark(call);
  ask(call, std::move(parked), out);
}

void Scheduler::unpark(CallId call) {
  waiting_outputs_.erase(call);
  std::erase_if(lookups_, [call](const auto& entry) { return entry.second.call == call; });
  const auto found = parked_.find(call);
  if (found == parked_.end()) return;
  if (LiveJob* live = jobs_.find(found->second.job_id)) std::erase(live->waiters.edit(), call);
  const auto waiters = task_waiters_.find(found->second.job_id);
  if (waiters != task_waiters_.end()) {
    std::erase(waiters->second, call);
    if (waiters->second.empty()) task_waiters_.erase(waiters);
  }
  parked_.erase(found);
}

Decision Scheduler::ask_now(CallId call, ParkedCall parked, std::optional<BootTime> until) {
  Decision out;
  if (until) timers_.add({*until, TimerKind::kWait, "", call});
  ask(call, std::move(parked), out);
  return out;
}

Decision Scheduler::query(CallId call, const v1::QueryJobRequest& request) {
  return ask_now(call, {.job_id = request.job_id(), .worker_filter = request.worker_id()});
}

Decision Scheduler::explain(CallId call, const v1::ExplainJobRequest& request) {
  return ask_now(call, {.kind = ParkedCall::Kind::kExplained,
                        .job_id = request.job_id(),
                        .worker_filter = request.worker_id()});
}

Decision Scheduler::wait(CallId call, const v1::WaitJobRequest& request, Now now) {
  const auto timeout = request.has_timeout() ? from_proto(request.timeout()) : kDefaultWait;
  return ask_now(call,
                 {.kind = ParkedCall::Kind::kEnd,
                  .job_id = request.job_id(),
                  .worker_filter = request.worker_id()},
                 now.boot + std::clamp<std::chrono::nanoseconds>(timeout, {}, kLongestWait));
}

Decision Scheduler::locate_output(CallId call, const OutputQuery& query, Now now) {
  const v1::StreamJobRequest& request = query.request;
  std::optional<BootTime> until;
  if (request.follow()) until = now.boot + config_.scheduling.worker_timeout;
  return ask_now(call,
                 {.kind = ParkedCall::Kind::kOutput,
                  .job_id = request.job_id(),
                  .worker_filter = request.worker_id(),
                  .attempt = request.attempt(),
                  .follow = request.follow(),
                  .resuming = query.resuming,
                  .session = query.session},
                 until);
}

Decision Scheduler::outcome_of(CallId call, const v1::AttemptKey& key, Now now) {
  return ask_now(
      call, {.kind = ParkedCall::Kind::kOutcome, .job_id = key.job_id(), .attempt = key.attempt()},
      now.boot + config_.scheduling.worker_timeout);
}

void Scheduler::abandon(CallId call) { unpark(call); }

}  // namespace clusterd
