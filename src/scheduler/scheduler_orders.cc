// What callers order: stop, signal, retry, delete.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

absl::Status job_not_found(const std::string& job_id) {
  return field_error(absl::StatusCode::kNotFound, "job_id", "job not found: \"" + job_id + "\"");
}

absl::Status not_ended(const v1::Job& job) {
  return absl::FailedPreconditionError(absl::StrCat("job ", job.job_id(), " has not ended: it is ",
                                                    v1::Job::State_Name(job.state())));
}

// What a retry of the job puts into its queue.
uint64_t tasks_to_run(const v1::Job& job, const RecordedTasks& tasks) {
  if (!job.spec().has_array()) return 1;
  const auto succeeded = std::count_if(tasks.begin(), tasks.end(), [](const auto& task) {
    return task.second == v1::Job::SUCCEEDED;
  });
  return task_count(job.spec().array()) - static_cast<uint64_t>(succeeded);
}

absl::Status never_started(const std::string& job_id) {
  return absl::FailedPreconditionError(
      absl::StrCat("task ", job_id, " was never started; retry its array"));
}

}  // namespace

Scheduler::KeyedCall Scheduler::keyed_job_call(CallId call, const RequestKey& key,
                                               const std::string& job_id) {
  KeyedCall keyed{.call = call, .request = key, .job_id = job_id};
  keyed.repeat = [this, call](const std::string& subject, Decision& out) {
    ask(call, {.job_id = subject}, out);
  };
  return keyed;
}

Decision Scheduler::stop(CallId call, const v1::StopJobRequest& request, const std::string& who,
                         const RequestKey& key, Now now) {
  Decision out;
  KeyedCall keyed = keyed_job_call(call, key, request.job_id());
  keyed.first = [this, call, request, who, key](const absl::StatusOr<LookedUp>&, Decision& later,
                                                Now then) {
    LiveJob* gang = nullptr;
    if (unrecorded_task(request.job_id(), &gang) && gang->job.spec().has_gang() &&
        !gang->job.has_unstarted_end()) {
      return reply(call,
                   absl::FailedPreconditionError(absl::StrCat(
                       "task ", request.job_id(), " starts with its gang or not at all: stop job ",
                       gang->job.job_id())),
                   later);
    }
    LiveJob* live = find_or_make_task(request.job_id(), later, then);
    if (live == nullptr || !on_worker(live->job, request.worker_id()) ||
        is_final(live->job.state()) || live->job.has_stop_requested()) {
      return ask(call, {.job_id = request.job_id(), .worker_filter = request.worker_id()}, later);
    }
    v1::StopRequest wish;
    wish.set_who(who);
    wish.set_reason(request.reason());
    *wish.mutable_when() = to_proto(then.wall);
    stop_live(*live, wish, later, then);
    keep_first_answer(key, request.job_id(), later, then);
    reply(call, Answer(shown(live->job)), later);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

void Scheduler::stop_live(LiveJob& live, const v1::StopRequest& wish, Decision& out, Now now) {
  if (is_final(live.job.state()) || live.job.has_stop_requested()) return;
  *live.job.mutable_stop_requested() = wish;
  live.job.mutable_stop_requested()->clear_grace();
  if (const auto grace = grace_of(live)) {
    *live.job.mutable_stop_requested()->mutable_grace() = to_proto(*grace);
  }
  mark(live);
  if (live.tasks != nullptr) return stop_tasks(live, out, now);
  if (live.job.state() == v1::Job::QUEUED) {
    v1::JobEnd end;
    end.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
    end.set_message("stopped while it was queued");
    finish(live, end, now.wall, out, now);
  } else if (WorkerEntry* worker = workers_.find(live.job.worker_id())) {
    send_stop(live, *worker, out);
  }
}

std::optional<std::chrono::nanoseconds> Scheduler::grace_of(const LiveJob& live) {
  if (live.tasks != nullptr) {
    std::optional<std::chrono::nanoseconds> longest;
    for (const std::string& id : live.tasks->live_tasks) {
      if (const LiveJob* task = jobs_.find(id)) longest = std::max(longest, grace_of(*task));
    }
    return longest;
  }
  if (live.job.state() == v1::Job::QUEUED) return std::nullopt;
  if (live.job.spec().has_stop_grace()) return from_proto(live.job.spec().stop_grace());
  const WorkerEntry* worker = workers_.find(live.job.worker_id());
  if (worker == nullptr || !worker->record.worker().has_stop_grace()) return std::nullopt;
  return from_proto(worker->record.worker().stop_grace());
}

Decision Scheduler::signal(CallId call, const v1::SignalJobRequest& request, int signal,
                           const RequestKey& key, Now now) {
  Decision out;
  KeyedCall keyed = keyed_job_call(call, key, request.job_id());
  keyed.first = [this, call, request, signal, key](const absl::StatusOr<LookedUp>&, Decision& later,
                                                   Now then) {
    const LiveJob* live = jobs_.find(request.job_id());
    if (live == nullptr || live->job.state() != v1::Job::RUNNING || live->tasks != nullptr ||
        !on_worker(live->job, request.worker_id())) {
      return ask(call,
                 {.kind = ParkedCall::Kind::kNotRunning,
                  .job_id = request.job_id(),
                  .worker_filter = request.worker_id()},
                 later);
    }
    const WorkerEntry* worker = workers_.find(live->job.worker_id());
    if (worker == nullptr || worker->stream == 0) {
      return reply(call, absl::UnavailableError("the job's worker cannot be reached"), later);
    }
    if (!live->job.spec().handler().empty()) {
      return reply(call,
                   field_error(absl::StatusCode::kFailedPrecondition, "signal",
                               "a handler's job has no process that could have one; stop it"),
                   later);
    }
    SignalAttempt order{.call = call, .worker_id = worker->id(), .job = shown(live->job)};
    order.request_key = key.key;
    order.request.set_epoch(epoch_);
    order.request.set_session(worker->session);
    order.request.mutable_key()->set_job_id(request.job_id());
    order.request.mutable_key()->set_attempt(live->job.attempt());
    order.request.set_signal(signal);
    order.request.set_main_process_only(request.main_process_only());
    keep_first_answer(key, request.job_id(), later, then);
    later.effects.emplace_back(std::move(order));
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::signal_failed(const std::string& request_key, Now now) {
  Decision out;
  first_answers_.erase(request_key);
  out.persist.delete_idempotency.push_back(request_key);
  return seal(std::move(out), now);
}

Decision Scheduler::retry(CallId call, const v1::RetryJobRequest& request, const RequestKey& key,
                          Now now) {
  Decision out;
  KeyedCall keyed = keyed_job_call(call, key, request.job_id());
  keyed.with_tasks = true;
  keyed.first = [this, call, request, key](absl::StatusOr<LookedUp> found, Decision& later,
                                           Now then) {
    const std::string& job_id = request.job_id();
    LiveJob* array = nullptr;
    const LiveJob* live = jobs_.find(job_id);
    if (live != nullptr && !is_final(live->job.state())) {
      return reply(call, not_ended(live->job), later);
    }
    if (const auto position = unrecorded_task(job_id, &array)) {
      return reply(call, never_started(job_id), later);
    }
    if (live == nullptr && found->jobs.empty()) {  // it left the table in between
      return read_and_retry(call, request, key, later);
    }
    const v1::Job job = live != nullptr ? live->job : found->jobs[0].value_or(v1::Job());
    if (job.job_id().empty() || !on_worker(job, request.worker_id())) {
      return reply(call, job_not_found(job_id), later);
    }
    if (job.state() == v1::Job::SUCCEEDED) {
      return reply(call, absl::FailedPreconditionError(absl::StrCat("job ", job_id, " succeeded")),
                   later);
    }
    if (job.spec().has_gang()) {
      return reply(call,
                   absl::FailedPreconditionError(absl::StrCat(
                       "job ", job_id, " is of a gang, which is not retried: submit it anew")),
                   later);
    }
    if (live != nullptr && live->tasks != nullptr) {  // its end is not durable yet
      return read_and_retry(call, request, key, later);
    }
    if (split_task_id(job_id)) return retry_task(call, job, key, later, then);
    retry_ended(call, job, found->tasks, key, later, then);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

void Scheduler::read_and_retry(CallId call, const v1::RetryJobRequest& request,
                               const RequestKey& key, Decision& out) {
  LookUp question{.job_ids = {request.job_id()}, .with_tasks = true};
  look_up(
      std::move(question), call,
      [this, call, request, key](absl::StatusOr<LookedUp> found, Decision& later, Now then) {
        if (!found.ok()) return reply(call, found.status(), later);
        const absl::StatusOr<v1::Job>& job = found->jobs[0];
        if (!job.ok() || !is_final(job->state())) {
          return reply(call, job_not_found(request.job_id()), later);
        }
        retry_ended(call, *job, found->tasks, key, later, then);
      },
      out);
}

absl::Status Scheduler::check_retry_room(const v1::Job& job, const RecordedTasks& tasks) const {
  absl::Status room = check_room();
  if (room.ok()) room = check_upload(job.spec());
  if (room.ok()) room = check_queue_room(job.spec(), tasks_to_run(job, tasks));
  return room;
}

void Scheduler::retry_ended(CallId call, const v1::Job& job, const RecordedTasks& tasks,
                            const RequestKey& key, Decision& out, Now now) {
  const absl::Status room = check_retry_room(job, tasks);
  if (!room.ok()) return reply(call, room, out);
  LiveJob& live = revive(job, tasks);
  live.job.set_retries(live.job.retries() + 1);
  live.job.clear_unstarted_end();
  clear_end(live.job);
  mark(live);
  keep_first_answer(key, job.job_id(), out, now);
  if (live.tasks != nullptr) {
    jobs_.set_state(live, v1::Job::RUNNING);
    live.tasks->begin_retry();
  }
  // Never placed: what it waited for has to be met still.
  const bool waits_anew = job.attempts_size() == 0 && !job.spec().after().empty() &&
                          (live.tasks == nullptr || live.tasks->unstarted() == live.tasks->size());
  if (waits_anew) {
    resume_waiting(live, out, now);
  } else {
    refresh(live, out, now);
  }
  if (live.tasks != nullptr) retry_more_tasks(live, out, now);
  reply(call, Answer(shown(live.job)), out);
}

void Scheduler::retry_task(CallId call, const v1::Job& task, const RequestKey& key, Decision& out,
                           Now now) {
  absl::Status room = check_room();
  if (room.ok()) room = check_queue_room(task.spec(), 1);
  if (!room.ok()) return reply(call, room, out);
  const std::string array_id = split_task_id(task.job_id())->first;
  LiveJob* array = jobs_.find(array_id);
  if (array != nullptr && !is_final(array->job.state())) {
    LiveJob& live = revive_task(*array, task, out, now);
    keep_first_answer(key, task.job_id(), out, now);
    return reply(call, Answer(shown(live.job)), out);
  }
  LookUp question{.job_ids = {array_id, task.job_id()}, .with_tasks = true};
  look_up(
      std::move(question), call,
      [this, call, key](absl::StatusOr<LookedUp> found, Decision& later, Now then) {
        if (!found.ok()) return reply(call, found.status(), later);
        const auto& owner = found->jobs[0];
        const auto& again = found->jobs[1];
        if (!owner.ok() || !again.ok()) return reply(call, owner.status(), later);
        LiveJob* revived = jobs_.find(owner->job_id());
        if (revived == nullptr || is_final(revived->job.state())) {
          const absl::Status upload = check_upload(owner->spec());
          if (!upload.ok()) return reply(call, upload, later);
          revived = &revive(*owner, found->tasks);
          jobs_.set_state(*revived, v1::Job::RUNNING);
          revived->job.clear_end();
          revived->job.clear_end_time();
          mark(*revived);
        }
        LiveJob* owner_of_unrecorded = nullptr;
        if (unrecorded_task(again->job_id(), &owner_of_unrecorded)) {
          settle_array(*revived, later, then);
          return reply(call, never_started(again->job_id()), later);
        }
        LiveJob& live = revive_task(*revived, *again, later, then);
        keep_first_answer(key, again->job_id(), later, then);
        reply(call, Answer(shown(live.job)), later);
      },
      out);
}

LiveJob& Scheduler::revive(const v1::Job& job, const RecordedTasks& tasks) {
  if (jobs_.find(job.job_id()) != nullptr) {
    jobs_.erase(job.job_id());  // its end is not durable yet
  } else {
    jobs_.uncount(job.state());
  }
  make_stale(job.job_id());
  LiveJob live;
  live.job = job;
  if (has_tasks(job)) live.tasks = TaskGroup::of(job, tasks);
  live.job.set_state(v1::Job::QUEUED);
  return jobs_.insert(std::move(live));
}

Decision Scheduler::erase(CallId call, const v1::DeleteJobRequest& request, const RequestKey& key,
                          Now now) {
  Decision out;
  KeyedCall keyed = keyed_job_call(call, key, request.job_id());
  keyed.repeat = [this, call](const std::string&, Decision& later) {
    reply(call, Answer(v1::DeleteJobResponse()), later);
  };
  keyed.first = [this, call, request, key](const absl::StatusOr<LookedUp>& found, Decision& later,
                                           Now then) {
    const std::string& job_id = request.job_id();
    const LiveJob* live = jobs_.find(job_id);
    const v1::Job job = live != nullptr       ? live->job
                        : found->jobs.empty() ? v1::Job()
                                              : found->jobs[0].value_or(v1::Job());
    if (job.job_id().empty() || !on_worker(job, request.worker_id())) {
      return reply(call, job_not_found(job_id), later);
    }
    if (split_task_id(job_id)) {
      return reply(call,
                   absl::FailedPreconditionError(
                       absl::StrCat(job_id, " is a task: it is deleted with its array")),
                   later);
    }
    if (!is_final(job.state())) return reply(call, not_ended(job), later);
    erase_ended(job, later, then);
    keep_first_answer(key, job_id, later, then);
    reply(call, Answer(v1::DeleteJobResponse()), later);
  };
  once(std::move(keyed), out, now);
  return seal(std::move(out), now);
}

void Scheduler::erase_ended(const v1::Job& job, Decision& out, Now now) {
  const std::string& job_id = job.job_id();
  if (jobs_.find(job_id) != nullptr) {
    jobs_.erase(job_id);
  } else {
    jobs_.uncount(job.state());
  }
  reserve_external_id(job);
  erased_[job_id] = commit_ + 1;
  make_stale(job_id);
  out.persist.delete_jobs.push_back(job_id);
  v1::Event event;
  event.set_deleted_job_id(job_id);
  add_event(std::move(event), out, now);
  for (const v1::Attempt& attempt : job.attempts()) {
    // A worker of another protocol keeps its output to itself: there is nobody to ask.
    if (!attempt.remote_id().empty()) {
      out.persist.delete_doomed.push_back({attempt.worker_id(), job_id});
      continue;
    }
    const WorkerEntry* worker = workers_.find(attempt.worker_id());
    if (worker != nullptr) send_doomed(*worker, out);
  }
}

}  // namespace clusterd
