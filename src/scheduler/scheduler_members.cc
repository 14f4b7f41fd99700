// Members: registration, leaving, and what administrators order.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "core/field_error.h"
#include "core/handler_check.h"
#include "core/limits_check.h"
#include "core/proto_time.h"
#include "core/worker_features.h"
#include "core/worker_protocol.h"
#include "scheduler/scheduler.h"

namespace clusterd {
namespace {

constexpr auto kDrainTolerance = std::chrono::seconds(1);  // wall clock against the timer's
constexpr int kLeastHeartbeats = 3;                        // within worker_timeout
constexpr const char* kFeatures[] = {kDeletesOutputs};

// One of an earlier version would start a job without the limits that it asks for.
bool knows_limits(const v1::WorkerIdentity& worker) {
  const auto& features = worker.features();
  return std::find(features.begin(), features.end(), kKnowsLimits) != features.end();
}

}  // namespace

void Scheduler::persist_worker(WorkerEntry& worker) {
  placement_changed_ = true;
  workers_.members_changed();
  marked_workers_.insert(worker.id());
  workers_commit_ = commit_ + 1;
}

void Scheduler::set_worker_state(WorkerEntry& worker, v1::Worker::State state,
                                 const std::string& fault) {
  v1::Worker& shown_worker = *worker.record.mutable_worker();
  const std::string& reason = fault.empty() ? worker.record.drain_reason() : fault;
  if (shown_worker.state() == state && shown_worker.reason() == reason) return;
  shown_worker.set_state(state);
  shown_worker.set_reason(reason);
  persist_worker(worker);
  watch(worker);
}

absl::StatusOr<WorkerEntry*> Scheduler::admit(const RegisterOrder& order, Now now) {
  if (auto status = check_handlers(order.request.handlers()); !status.ok()) return status;
  const v1::WorkerIdentity& identity = order.request.identity();
  WorkerEntry* known = identity.worker_id().empty() ? nullptr : workers_.find(identity.worker_id());
  if (known != nullptr) {
    if (known->record.secret_sha256() != order.presented_sha256) {
      return absl::PermissionDeniedError(
          absl::StrCat("worker ", identity.worker_id(), ": wrong secret"));
    }
    if (known->stream != 0 && known->record.identity().machine_id() != identity.machine_id()) {
      return absl::AlreadyExistsError(
          absl::StrCat("worker ", identity.worker_id(), " is connected from another machine"));
    }
  }
  const std::string id =
      identity.worker_id().empty() ? order.fresh_worker_id : identity.worker_id();
  const WorkerEntry* holder = workers_.find_by_id_or_name(order.request.name());
  if (order.request.name_is_configured() && holder != nullptr && holder->id() != id) {
    return field_error(absl::StatusCode::kAlreadyExists, "name",
                       absl::StrCat("\"", order.request.name(), "\" is worker ", holder->id()));
  }
  if (known != nullptr) return known;
  internal::WorkerRecord record;
  record.mutable_worker()->set_worker_id(id);
  record.mutable_worker()->set_state(v1::Worker::UNREACHABLE);
  record.mutable_worker()->set_reason("has registered and not opened its session yet");
  record.set_secret_sha256(identity.worker_id().empty() ? order.fresh_sha256
                                                        : order.presented_sha256);
  *record.mutable_identity() = identity;
  return &workers_.insert(std::move(record), now.boot);
}

Decision Scheduler::register_worker(CallId call, const RegisterOrder& order, Now now) {
  Decision out;
  const auto admitted = admit(order, now);
  if (!admitted.ok()) {
    out.effects.emplace_back(Reply{call, admitted.status()});
    return out;
  }
  WorkerEntry& worker = **admitted;
  v1::Worker& shown_worker = *worker.record.mutable_worker();
  // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): admit() gives no null pointer
  workers_.rename(worker, workers_.free_name(order.request.name(), worker.id()));
  shown_worker.set_address(order.request.address());
  shown_worker.set_version(order.request.identity().version());
  shown_worker.set_protocol(v1::Worker::CLUSTERD);
  *shown_worker.mutable_labels() = order.request.labels();
  *shown_worker.mutable_capacity() = order.request.capacity();
  shown_worker.mutable_capacity()->clear_exclusive();
  *shown_worker.mutable_taints() = order.request.taints();
  *shown_worker.mutable_unenforced_limits() = order.request.unenforced_limits();
  take_handlers(worker, order.request);
  if (!knows_limits(order.request.identity())) {
    shown_worker.clear_unenforced_limits();
    for (const std::string& limit : all_limits()) shown_worker.add_unenforced_limits(limit);
  }
  shown_worker.clear_stop_grace();
  if (order.request.has_stop_grace()) {
    *shown_worker.mutable_stop_grace() = order.request.stop_grace();
  }
  *shown_worker.mutable_last_seen() = to_proto(now.wall);
  worker.record.clear_left_time();
  if (shown_worker.state() == v1::Worker::LEFT || shown_worker.state() == v1::Worker::OFFLINE) {
    set_worker_state(worker, v1::Worker::UNREACHABLE,
                     "has registered and not opened its session yet");
  }
  worker.record.set_name_is_configured(order.request.name_is_configured());
  persist_worker(worker);

  v1::RegisterWorkerResponse answer;
  answer.set_worker_id(worker.id());
  answer.set_secret(order.request.identity().worker_id().empty() ? order.fresh_secret
                                                                 : order.request.secret());
  answer.set_name(worker.name());
  answer.set_epoch(epoch_);
  // Often enough for the shortest fence, which is half of worker_timeout.
  *answer.mutable_heartbeat_interval() = to_proto(std::min(
      config_.scheduling.heartbeat_interval, config_.scheduling.worker_timeout / kLeastHeartbeats));
  *answer.mutable_worker_timeout() = to_proto(config_.scheduling.worker_timeout);
  *answer.mutable_lost_after() = to_proto(config_.scheduling.lost_after);
  for (const char* feature : kFeatures) answer.add_features(feature);
  reply(call, Answer(std::move(answer)), out);
  return seal(std::move(out), now);
}

Decision Scheduler::deregister_worker(CallId call, const v1::DeregisterWorkerRequest& request,
                                      const std::string& presented_sha256, Now now) {
  Decision out;
  WorkerEntry* worker = workers_.find(request.worker_id());
  if (worker == nullptr) {
    out.effects.emplace_back(
        Reply{call, absl::NotFoundError("worker not found: " + request.worker_id())});
    return out;
  }
  if (worker->record.secret_sha256() != presented_sha256) {
    out.effects.emplace_back(Reply{
        call, absl::PermissionDeniedError("worker " + request.worker_id() + ": wrong secret")});
    return out;
  }
  const bool leaves = request.leaving() && worker->jobs.empty();
  // One that goes offline may keep its session until its jobs have ended, and tell of them.
  if (leaves && worker->stream != 0) {
    out.effects.emplace_back(CloseStream{worker->stream, absl::OkStatus()});
    workers_.set_stream(*worker, 0);
    worker->called_back = false;
  }
  if (leaves) {
    *worker->record.mutable_left_time() = to_proto(now.wall);
    end_quarantine(*worker);
  }
  set_worker_state(*worker, leaves ? v1::Worker::LEFT : v1::Worker::OFFLINE,
                   leaves ? "" : "it stopped in order");
  reconsider_outputs_of(*worker, out);
  out.effects.emplace_back(Reply{call, Answer(v1::DeregisterWorkerResponse())});
  return seal(std::move(out), now);
}

void Scheduler::change_worker(WorkerOrder order, Decision& out, Now now) {
  KeyedCall keyed{.call = order.call, .request = order.request};
  keyed.repeat = [this, call = order.call](const std::string& worker_id, Decision& later) {
    answer_worker(call, worker_id, later);
  };
  keyed.first = [this, order = std::move(order)](const absl::StatusOr<LookedUp>&, Decision& later,
                                                 Now then) mutable {
    WorkerEntry* worker = workers_.find_by_id_or_name(order.id_or_name);
    if (worker == nullptr) return answer_worker(order.call, order.id_or_name, later);
    const absl::Status refused = order.change(*worker, later, then);
    if (!refused.ok()) return reply(order.call, refused, later);
    persist_worker(*worker);
    keep_first_answer(order.request, worker->id(), later, then);
    reply(order.call, Answer(worker->record.worker()), later);
  };
  once(std::move(keyed), out, now);
}

Decision Scheduler::drain(CallId call, const v1::DrainWorkerRequest& request, const RequestKey& key,
                          Now now) {
  Decision out;
  const auto change = [this, request](WorkerEntry& worker, Decision& later, Now then) {
    const auto deadline = from_proto(request.deadline());
    worker.record.mutable_worker()->set_draining(true);
    worker.record.set_drain_reason(request.reason());
    worker.record.clear_drain_deadline();
    if (request.has_deadline()) {
      *worker.record.mutable_drain_deadline() = to_proto(then.wall + deadline);
      timers_.add({then.boot + deadline, TimerKind::kDrain, worker.id()});
    }
    if (worker.state() == v1::Worker::ALIVE) {
      worker.record.mutable_worker()->set_reason(request.reason());
    }
    send_drain(worker, later);
    return absl::OkStatus();
  };
  change_worker({call, request.worker_id(), key, change}, out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::resume(CallId call, const v1::ResumeWorkerRequest& request,
                           const RequestKey& key, Now now) {
  Decision out;
  const auto change = [this](WorkerEntry& worker, Decision& later, Now) {
    worker.record.mutable_worker()->set_draining(false);
    worker.record.clear_drain_reason();
    worker.record.clear_drain_deadline();
    end_quarantine(worker);
    if (worker.state() == v1::Worker::ALIVE) worker.record.mutable_worker()->clear_reason();
    send_drain(worker, later);
    return absl::OkStatus();
  };
  change_worker({call, request.worker_id(), key, change}, out, now);
  return seal(std::move(out), now);
}

Decision Scheduler::remove(CallId call, const v1::RemoveWorkerRequest& request,
                           const RequestKey& key, Now now) {
  Decision out;
  const auto change = [this](WorkerEntry& worker, Decision& later, Now then) {
    if (worker.state() == v1::Worker::ALIVE) {
      return absl::FailedPreconditionError(
          absl::StrCat("worker ", worker.name(), " is ALIVE; stop it first, or drain it"));
    }
    forget_worker(worker, "its worker was removed", later, then);
    return absl::OkStatus();
  };
  change_worker({call, request.worker_id(), key, change}, out, now);
  return seal(std::move(out), now);
}

void Scheduler::lose_attempts(WorkerEntry& worker, const std::string& why, Decision& out, Now now) {
  const std::vector<std::string> here(worker.jobs.begin(), worker.jobs.end());
  for (const std::string& job_id : here) {
    lose_attempt(*jobs_.find(job_id), why, worker.last_heard, out, now);
  }
}

void Scheduler::forget_worker(WorkerEntry& worker, const std::string& why, Decision& out, Now now) {
  if (is_original(worker.protocol())) out.effects.emplace_back(DismissOriginal{worker.id()});
  if (worker.stream != 0) {
    out.effects.emplace_back(
        CloseStream{worker.stream, absl::FailedPreconditionError("removed; register first")});
    workers_.set_stream(worker, 0);
    worker.called_back = false;
  }
  lose_attempts(worker, why, out, now);
  worker.record.mutable_worker()->set_draining(false);
  worker.record.clear_drain_reason();
  worker.record.clear_drain_deadline();
  end_quarantine(worker);
  *worker.record.mutable_left_time() = to_proto(now.wall);
  set_worker_state(worker, v1::Worker::LEFT, "");
  const auto waits_for_it = [&worker](const LiveJob& live) {
    return live.target() == worker.id() && waits_for_room(live);
  };
  v1::JobEnd end;
  end.set_reason(v1::JobEnd::START_FAILED);
  end.set_message(absl::StrCat(why, ": ", worker.name()));
  for (LiveJob* live : jobs_.in_order(waits_for_it)) {
    if (waits_for_room(*live)) end_waiting(*live, end, out, now);  // not ended with another of them
  }
}

void Scheduler::check_drain(const std::string& worker_id, Decision& out, Now now) {
  WorkerEntry* worker = workers_.find(worker_id);
  if (worker == nullptr || !worker->record.has_drain_deadline()) return;
  if (from_proto(worker->record.drain_deadline()) > now.wall + kDrainTolerance) return;
  v1::StopRequest wish;
  wish.set_who("drain");
  wish.set_reason("the deadline of its worker's drain has passed");
  *wish.mutable_when() = to_proto(now.wall);
  const std::vector<std::string> here(worker->jobs.begin(), worker->jobs.end());
  for (const std::string& job_id : here) stop_live(*jobs_.find(job_id), wish, out, now);
}

std::string Scheduler::name_of_worker(const std::string& worker_id) {
  const WorkerEntry* const worker = workers_.find(worker_id);
  return worker == nullptr ? "" : worker->name();
}

}  // namespace clusterd
