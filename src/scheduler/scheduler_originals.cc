// Members that speak the protocols of the two earlier systems, and their tasks.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/utf8.h"
#include "core/worker_protocol.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

// A go-work worker does one piece of work at a time.
constexpr uint32_t kGoWorkSlots = 1;

absl::Status no_such_task(const std::string& task_id) {
  return absl::NotFoundError("task not found: " + task_id);
}

}  // namespace

std::string Scheduler::go_work_member(const std::string& name) {
  const WorkerEntry* worker = workers_.find_by_id_or_name(name);
  const bool is_member = worker != nullptr && worker->protocol() == v1::Worker::GO_WORK &&
                         worker->name() == name && worker->state() != v1::Worker::LEFT;
  return is_member ? worker->id() : "";
}

std::string Scheduler::task_id_of(const std::string& job_id) {
  const LiveJob* live = jobs_.find(job_id);
  return live == nullptr || live->job.external_id().empty() ? job_id : live->job.external_id();
}

// The entry for the newcomer. Whoever had its address, or its name, is it no more.
absl::StatusOr<WorkerEntry*> Scheduler::make_room_for(const OriginalOrder& order, Decision& out,
                                                      Now now) {
  const bool is_go_work = order.protocol == v1::Worker::GO_WORK;
  WorkerEntry* known = is_go_work ? workers_.find_by_id_or_name(order.name) : nullptr;
  if (known != nullptr && (known->protocol() != order.protocol || known->name() != order.name)) {
    return absl::AlreadyExistsError(absl::StrCat("\"", order.name, "\" is worker ", known->id(),
                                                 ", which speaks the protocol ",
                                                 std::string(word_of(known->protocol()))));
  }
  workers_.for_each([&](WorkerEntry& worker) {
    const bool same_place = is_original(worker.protocol()) && &worker != known &&
                            worker.record.worker().address() == order.address;
    if (!same_place || worker.state() == v1::Worker::LEFT) return;
    forget_worker(worker, "another worker has its address", out, now);
  });
  if (known != nullptr) {
    lose_attempts(*known, "its worker has joined anew", out, now);
    out.effects.emplace_back(DismissOriginal{known->id()});
    if (known->stream != 0) {
      out.effects.emplace_back(CloseStream{known->stream, absl::AbortedError("joined anew")});
      workers_.set_stream(*known, 0);
      known->called_back = false;
    }
    return known;
  }
  internal::WorkerRecord record;
  record.mutable_worker()->set_worker_id(order.fresh_worker_id);
  record.mutable_worker()->set_name(workers_.free_name(order.name, order.fresh_worker_id));
  record.mutable_worker()->set_protocol(order.protocol);
  return &workers_.insert(std::move(record), now.boot);
}

Decision Scheduler::register_original(CallId call, const OriginalOrder& order, Now now) {
  Decision out;
  const auto admitted = make_room_for(order, out, now);
  if (!admitted.ok()) {
    reply(call, admitted.status(), out);
    return seal(std::move(out), now);
  }
  WorkerEntry& worker = **admitted;
  // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): make_room_for() gives no null pointer
  v1::Worker& shown_worker = *worker.record.mutable_worker();
  const bool is_go_work = order.protocol == v1::Worker::GO_WORK;
  shown_worker.set_address(order.address);
  shown_worker.mutable_capacity()->set_slots(is_go_work ? kGoWorkSlots
                                                        : config_.compat.worker_slots);
  (*shown_worker.mutable_labels())["protocol"] = std::string(word_of(order.protocol));
  *shown_worker.mutable_last_seen() = to_proto(now.wall);
  worker.last_heard = now.boot;
  worker.occupied.clear();
  worker.begin_anew = false;
  set_worker_state(worker, v1::Worker::UNREACHABLE,
                   is_go_work ? "has joined and sent no heartbeat yet"
                              : "has registered and not been called back yet");
  persist_worker(worker);
  watch(worker);
  out.effects.emplace_back(AdmitOriginal{.worker = shown_worker, .held = {}, .remembered = false});
  v1::RegisterWorkerResponse answer;
  answer.set_worker_id(worker.id());
  answer.set_name(worker.name());
  reply(call, Answer(std::move(answer)), out);
  return seal(std::move(out), now);
}

Decision Scheduler::leave_original(CallId call, v1::Worker::Protocol protocol,
                                   const std::string& id_or_name, Now now) {
  Decision out;
  WorkerEntry* worker = workers_.find_by_id_or_name(id_or_name);
  if (worker == nullptr || worker->protocol() != protocol || worker->state() == v1::Worker::LEFT) {
    reply(call, absl::NotFoundError("worker not found: " + id_or_name), out);
    return out;
  }
  forget_worker(*worker, "its worker has left", out, now);
  reply(call, Answer(v1::DeregisterWorkerResponse()), out);
  return seal(std::move(out), now);
}

Decision Scheduler::original_gone(const std::string& worker_id, const std::string& reason,
                                  Now now) {
  Decision out;
  WorkerEntry* worker = workers_.find(worker_id);
  if (worker == nullptr || worker->state() == v1::Worker::LEFT) return out;
  out.effects.emplace_back(DismissOriginal{worker_id});
  if (worker->stream != 0) {
    out.effects.emplace_back(CloseStream{worker->stream, absl::AbortedError(reason)});
    workers_.set_stream(*worker, 0);
    worker->called_back = false;
  }
  lose_attempts(*worker, reason, out, now);
  set_worker_state(*worker, v1::Worker::LOST, reason);
  return seal(std::move(out), now);
}

void Scheduler::admit_remembered(Decision& out) {
  workers_.for_each([this, &out](WorkerEntry& worker) {
    if (!is_original(worker.protocol())) return;
    const bool is_lost =
        worker.state() == v1::Worker::LOST && worker.protocol() == v1::Worker::JOBSCHEDULER;
    if (worker.state() == v1::Worker::LEFT) out.persist.delete_workers.push_back(worker.id());
    if (worker.state() == v1::Worker::LEFT || is_lost) return;  // never comes back under this id
    AdmitOriginal admit{.worker = worker.record.worker(), .held = {}, .remembered = true};
    for (const std::string& job_id : worker.jobs) {
      const LiveJob& live = *jobs_.find(job_id);
      const v1::Attempt& attempt = *live.job.attempts().rbegin();
      // An order of which nobody knows whether it arrived. A go-work worker tells by its
      // heartbeats whether it works; of any other nothing will ever be known.
      const bool is_go_work = worker.protocol() == v1::Worker::GO_WORK;
      if (attempt.remote_id().empty() && !is_go_work) continue;
      v1::HeldAttempt held;
      held.mutable_key()->set_job_id(job_id);
      held.mutable_key()->set_attempt(attempt.number());
      held.set_started(attempt.has_start_time());
      if (attempt.has_start_time()) *held.mutable_start_time() = attempt.start_time();
      held.set_remote_id(attempt.remote_id().empty() ? task_id_of(job_id) : attempt.remote_id());
      admit.held.push_back(std::move(held));
    }
    out.effects.emplace_back(std::move(admit));
  });
}

Decision Scheduler::with_task(CallId call, const std::string& task_id, WithTask go_on, Now now) {
  Decision out;
  LiveJob* live = jobs_.find_external(task_id);
  if (live == nullptr) live = jobs_.find(task_id);
  if (live != nullptr) {
    go_on(live, out, now);
    return seal(std::move(out), now);
  }
  look_up(
      {.job_ids = {task_id}, .external_id = task_id}, call,
      [this, call, task_id, go_on = std::move(go_on)](const absl::StatusOr<LookedUp>& found,
                                                      Decision& later, Now then) {
        if (!found.ok()) return reply(call, found.status(), later);
        LiveJob* again = jobs_.find_external(task_id);  // accepted meanwhile
        if (again == nullptr && found->external_job.empty() && !found->jobs[0].ok()) {
          return reply(call, no_such_task(task_id), later);
        }
        go_on(again, later, then);
      },
      out);
  return seal(std::move(out), now);
}

Decision Scheduler::complete_task(CallId call, const std::string& task_id,
                                  const std::optional<std::string>& error, Now now) {
  return with_task(
      call, task_id,
      [this, call, task_id, error](LiveJob* live, Decision& out, Now then) {
        v1::Job answer;
        answer.set_job_id(live == nullptr ? task_id : live->job.job_id());
        if (live == nullptr || is_final(live->job.state())) {  // its end stays as it is
          if (live != nullptr) out.after = std::max(out.after, live->commit);
          return reply(call, Answer(std::move(answer)), out);
        }
        WorkerEntry* worker = workers_.find(live->job.worker_id());
        if (live->job.state() == v1::Job::QUEUED || worker == nullptr ||
            worker->protocol() != v1::Worker::GO_WORK) {
          return reply(call,
                       absl::FailedPreconditionError(absl::StrCat(
                           "task ", task_id, " is ", v1::Job::State_Name(live->job.state()),
                           " and not with a worker that tells of its end in this way")),
                       out);
        }
        v1::JobEnd end;
        end.set_reason(v1::JobEnd::EXITED);
        if (error) {
          end.set_message(error->empty() ? "the worker told of an error" : to_valid_utf8(*error));
        } else {
          end.set_exit_code(0);
        }
        v1::AttemptKey key;
        key.set_job_id(live->job.job_id());
        key.set_attempt(live->job.attempt());
        out.effects.emplace_back(ReleaseOriginal{worker->id(), key});
        attempt_ended(*live, end, then.wall, out, then);
        reply(call, Answer(std::move(answer)), out);
      },
      now);
}

Decision Scheduler::cancel_task(CallId call, const std::string& task_id, const std::string& who,
                                Now now) {
  return with_task(
      call, task_id,
      [this, call, task_id, who](LiveJob* live, Decision& out, Now then) {
        v1::Job answer;
        answer.set_job_id(live == nullptr ? task_id : live->job.job_id());
        if (live != nullptr) {
          v1::StopRequest wish;
          wish.set_who(who);
          *wish.mutable_when() = to_proto(then.wall);
          out.after = std::max(out.after, live->commit);
          stop_live(*live, wish, out, then);
        }
        reply(call, Answer(std::move(answer)), out);
      },
      now);
}

absl::Status Scheduler::check_external_id(const std::string& external_id, const LookedUp& found) {
  if (external_id.empty()) return absl::OkStatus();
  const LiveJob* live = jobs_.find_external(external_id);
  const std::string holder = live != nullptr ? live->job.job_id() : found.external_job;
  if (holder.empty() && !erased_external_.contains(external_id)) return absl::OkStatus();
  return field_error(absl::StatusCode::kAlreadyExists, "external_id",
                     absl::StrCat("\"", external_id, "\" is that of ",
                                  holder.empty() ? "a job that is just being deleted; try again"
                                                 : "job " + holder));
}

void Scheduler::reserve_external_id(const v1::Job& job) {
  if (!job.external_id().empty()) erased_external_[job.external_id()] = commit_ + 1;
}

}  // namespace clusterd
