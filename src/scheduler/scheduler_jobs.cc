// What callers ask for: submitting, stopping and signalling jobs, and the cluster's views.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/version.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "scheduler/scheduler.h"

namespace clusterd {

using std::chrono_literals::operator""s;

Scheduler::Scheduler(const SchedulerConfig::Scheduling& config, StoreContents contents, Now now)
    : config_(config),
      epoch_(contents.meta.epoch()),
      since_(now.wall),
      last_seq_(contents.meta.last_job_seq()) {
  for (const auto& [state, count] : contents.ended_counts) jobs_.set_stored_count(state, count);
  for (internal::WorkerRecord& record : contents.workers) {
    WorkerEntry& worker = workers_.insert(std::move(record), now.boot);
    timers_.add({now.boot + config_.worker_timeout, TimerKind::kSilence, worker.id()});
  }
  for (v1::Job& job : contents.live_jobs) {
    LiveJob live;
    live.directed = !job.spec().worker_id().empty();
    live.job = std::move(job);
    last_seq_ = std::max(last_seq_, live.job.seq());
    LiveJob& kept = jobs_.insert(std::move(live));
    if (kept.job.state() == v1::Job::QUEUED) continue;
    if (WorkerEntry* worker = workers_.find(kept.job.worker_id())) {
      WorkerTable::take(*worker, kept.job);
    }
  }
}

void Scheduler::mark(LiveJob& live) {
  live.commit = commit_ + 1;
  placement_changed_ = true;
  marked_.push_back(live.job.job_id());
}

Decision Scheduler::seal(Decision out) {
  place(out);
  std::sort(marked_.begin(), marked_.end());
  marked_.erase(std::unique(marked_.begin(), marked_.end()), marked_.end());
  for (const std::string& job_id : marked_) {
    const LiveJob* live = jobs_.find(job_id);
    if (live == nullptr) continue;  // refused: the deletion is in the batch
    out.persist.put_jobs.push_back(live->job);
    if (is_final(live->job.state())) jobs_.retire(*live);
  }
  marked_.clear();
  if (!out.persist.empty()) out.after = ++commit_;
  return out;
}

v1::Job Scheduler::shown(const v1::Job& job) {
  v1::Job copy = job;
  for (auto& [name, value] : *copy.mutable_spec()->mutable_env()) value.clear();
  if (is_final(copy.state()) || copy.state() == v1::Job::QUEUED) return copy;
  const WorkerEntry* worker = workers_.find(copy.worker_id());
  if (worker != nullptr && worker->state() != v1::Worker::ALIVE) {
    *copy.mutable_unreachable_since() = worker->record.worker().last_seen();
  }
  return copy;
}

absl::Status Scheduler::check_room() const {
  if (jobs_.queued() < config_.max_queued) return absl::OkStatus();
  return with_retry_delay(absl::ResourceExhaustedError(
                              absl::StrCat("the queue is full: max_queued = ", config_.max_queued)),
                          1s);
}

absl::StatusOr<WorkerEntry*> Scheduler::directed_target(const v1::JobSpec& spec) {
  WorkerEntry* worker = workers_.find_by_id_or_name(spec.worker_id());
  if (worker == nullptr || worker->state() == v1::Worker::LEFT) {
    return field_error(absl::StatusCode::kNotFound, "worker_id",
                       absl::StrCat("worker not found: \"", spec.worker_id(), "\""));
  }
  if (worker->state() != v1::Worker::ALIVE) {
    const v1::Worker& shown_worker = worker->record.worker();
    return absl::UnavailableError(
        absl::StrCat("worker ", worker->name(), " is ", v1::Worker::State_Name(worker->state()),
                     shown_worker.reason().empty() ? "" : ": ", shown_worker.reason()));
  }
  if (!WorkerTable::fits_empty(*worker, spec)) {
    return invalid_field(
        "resources",
        absl::StrCat("the job can never fit worker ", worker->name(), ", whose capacity is ",
                     worker->record.worker().capacity().slots(), " slots"));
  }
  return worker;
}

Decision Scheduler::submit(CallId call, SubmitOrder order, Now now) {
  if (order.request_key.empty()) return accept(call, std::move(order), now);
  const auto first = first_answers_.find(order.request_key);
  if (first != first_answers_.end()) {
    return repeat(call, order, first->second.request_sha256, first->second.job_id);
  }
  Decision out;
  out.effects.emplace_back(ReadFirstAnswer{call, order.request_key});
  unchecked_[call] = std::move(order);
  return out;
}

Decision Scheduler::first_answer(
    CallId call, const absl::StatusOr<std::optional<internal::IdempotencyRecord>>& record,
    Now now) {
  const auto found = unchecked_.find(call);
  if (found == unchecked_.end()) return {};  // the caller is gone
  SubmitOrder order = std::move(found->second);
  unchecked_.erase(found);
  if (!record.ok()) {
    Decision out;
    out.effects.emplace_back(Reply{call, record.status()});
    return out;
  }
  const auto first = first_answers_.find(order.request_key);  // made while the store was asked
  if (first != first_answers_.end()) {
    return repeat(call, order, first->second.request_sha256, first->second.job_id);
  }
  if (*record) return repeat(call, order, (*record)->request_sha256(), (*record)->subject_id());
  return accept(call, std::move(order), now);
}

Decision Scheduler::repeat(CallId call, const SubmitOrder& order, const std::string& first_sha256,
                           const std::string& job_id) {
  if (order.request_sha256 == first_sha256) {
    return ask(call, {.kind = ParkedCall::Kind::kFirstAnswer, .job_id = job_id});
  }
  Decision out;
  out.effects.emplace_back(
      Reply{call, field_error(absl::StatusCode::kAlreadyExists, "request_id",
                              "was used with another request, which made job " + job_id)});
  return out;
}

void Scheduler::keep_first_answer(const SubmitOrder& order, Decision& out, Now now) {
  if (order.request_key.empty()) return;
  first_answers_[order.request_key] = {order.request_sha256, order.job_id, commit_ + 1};
  internal::IdempotencyRecord record;
  record.set_key(order.request_key);
  record.set_request_sha256(order.request_sha256);
  record.set_subject_id(order.job_id);
  *record.mutable_time() = to_proto(now.wall);
  out.persist.put_idempotency.push_back(std::move(record));
}

void Scheduler::committed(uint64_t number) {
  std::erase_if(first_answers_, [this, number](const auto& entry) {
    if (entry.second.commit > number) return false;
    // A repetition that asked the store before this was durable may come back without it.
    for (const auto& [call, order] : unchecked_) {
      if (order.request_key == entry.first) return false;
    }
    const LiveJob* live = jobs_.find(entry.second.job_id);
    return live == nullptr || live->start_call == 0;
  });
  jobs_.evict_until(number);
}

Decision Scheduler::accept(CallId call, SubmitOrder order, Now now) {
  Decision out;
  LiveJob live;
  live.directed = !order.spec.worker_id().empty();
  absl::Status refused = check_room();
  WorkerEntry* target = nullptr;
  if (refused.ok() && live.directed) {
    const auto found = directed_target(order.spec);
    refused = found.status();
    if (found.ok()) target = *found;
  }
  if (!refused.ok()) {
    out.effects.emplace_back(Reply{call, refused});
    return out;
  }
  keep_first_answer(order, out, now);
  live.request_key = order.request_key;
  v1::Job& job = live.job;
  job.set_job_id(order.job_id);
  job.set_seq(++last_seq_);
  *job.mutable_spec() = std::move(order.spec);
  job.set_state(v1::Job::QUEUED);
  job.set_submitted_by(order.submitted_by);
  *job.mutable_submit_time() = to_proto(now.wall);
  if (target != nullptr) job.set_worker_id(target->id());
  live.trace_parent = std::move(order.trace_parent);
  mark(jobs_.insert(std::move(live)));
  place(out);

  LiveJob& kept = *jobs_.find(order.job_id);
  if (kept.directed && kept.job.state() == v1::Job::STARTING) {
    kept.start_call = call;
    timers_.add({now.boot + config_.start_wait, TimerKind::kStartWait, order.job_id});
  } else {
    if (kept.job.state() == v1::Job::QUEUED) {
      kept.job.set_pending_reason(target == nullptr     ? "waits for a worker with room"
                                  : target->stream == 0 ? "waits for its worker to reconnect"
                                                        : "waits for room on its worker");
    }
    out.effects.emplace_back(Reply{call, Answer(shown(kept.job))});
  }
  return seal(std::move(out));
}

Decision Scheduler::stop(CallId call, const v1::StopJobRequest& request, const std::string& who,
                         Now now) {
  Decision out;
  LiveJob* live = jobs_.find(request.job_id());
  if (live == nullptr || !on_worker(live->job, request.worker_id())) {
    return ask(call, {.job_id = request.job_id(), .worker_filter = request.worker_id()});
  }
  if (!is_final(live->job.state()) && !live->job.has_stop_requested()) {
    v1::StopRequest& wish = *live->job.mutable_stop_requested();
    wish.set_who(who);
    wish.set_reason(request.reason());
    *wish.mutable_when() = to_proto(now.wall);
    mark(*live);
    if (live->job.state() == v1::Job::QUEUED) {
      v1::JobEnd end;
      end.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);
      end.set_message("stopped while it was queued");
      finish(*live, end, now.wall, out, now);
    } else if (WorkerEntry* worker = workers_.find(live->job.worker_id())) {
      send_stop(*live, *worker, out);
    }
  }
  out.after = live->commit;
  out.effects.emplace_back(Reply{call, Answer(shown(live->job))});
  return seal(std::move(out));
}

Decision Scheduler::signal(CallId call, const v1::SignalJobRequest& request, int signal) {
  Decision out;
  const LiveJob* live = jobs_.find(request.job_id());
  if (live == nullptr || live->job.state() != v1::Job::RUNNING ||
      !on_worker(live->job, request.worker_id())) {
    return ask(call, {.kind = ParkedCall::Kind::kNotRunning,
                      .job_id = request.job_id(),
                      .worker_filter = request.worker_id()});
  }
  const WorkerEntry* worker = workers_.find(live->job.worker_id());
  if (worker == nullptr || worker->stream == 0) {
    out.effects.emplace_back(
        Reply{call, absl::UnavailableError("the job's worker cannot be reached")});
    return out;
  }
  SignalAttempt order{.call = call, .worker_id = worker->id(), .job = shown(live->job)};
  order.request.set_epoch(epoch_);
  order.request.set_session(worker->session);
  order.request.mutable_key()->set_job_id(request.job_id());
  order.request.mutable_key()->set_attempt(live->job.attempt());
  order.request.set_signal(signal);
  order.request.set_main_process_only(request.main_process_only());
  out.effects.emplace_back(std::move(order));
  return out;
}

Decision Scheduler::list_workers(CallId call, const v1::ListWorkersRequest& request) {
  Decision out;
  out.after = workers_commit_;
  v1::ListWorkersResponse answer;
  workers_.for_each([&request, &answer](const WorkerEntry& worker) {
    const bool wanted = request.state().empty()
                            ? worker.state() != v1::Worker::LEFT
                            : std::find(request.state().begin(), request.state().end(),
                                        worker.state()) != request.state().end();
    if (wanted) *answer.add_workers() = worker.record.worker();
  });
  std::sort(answer.mutable_workers()->begin(), answer.mutable_workers()->end(),
            [](const v1::Worker& a, const v1::Worker& b) { return a.name() < b.name(); });
  out.effects.emplace_back(Reply{call, Answer(std::move(answer))});
  return out;
}

Decision Scheduler::get_worker(CallId call, const v1::GetWorkerRequest& request) {
  Decision out;
  out.after = workers_commit_;
  const WorkerEntry* worker = workers_.find_by_id_or_name(request.worker_id());
  if (worker == nullptr) {
    out.effects.emplace_back(
        Reply{call, field_error(absl::StatusCode::kNotFound, "worker_id",
                                absl::StrCat("worker not found: \"", request.worker_id(), "\""))});
  } else {
    out.effects.emplace_back(Reply{call, Answer(worker->record.worker())});
  }
  return out;
}

Decision Scheduler::get_cluster(CallId call) {
  Decision out;
  v1::Cluster cluster;
  cluster.set_epoch(epoch_);
  cluster.set_version(version());
  *cluster.mutable_since() = to_proto(since_);
  for (const auto& [state, count] : jobs_.counts()) {
    if (count > 0) (*cluster.mutable_job_counts())[std::string(name_of(state))] = count;
  }
  workers_.for_each([&cluster](const WorkerEntry& worker) {
    ++(*cluster.mutable_worker_counts())[v1::Worker::State_Name(worker.state())];
    if (worker.state() != v1::Worker::ALIVE) return;
    const v1::Resources& has = worker.record.worker().capacity();
    const v1::Resources& used = worker.record.worker().in_use();
    v1::Resources& all = *cluster.mutable_capacity();
    v1::Resources& taken = *cluster.mutable_in_use();
    all.set_slots(all.slots() + has.slots());
    all.set_cpus(all.cpus() + has.cpus());
    all.set_memory_bytes(all.memory_bytes() + has.memory_bytes());
    taken.set_slots(taken.slots() + used.slots());
    taken.set_cpus(taken.cpus() + used.cpus());
    taken.set_memory_bytes(taken.memory_bytes() + used.memory_bytes());
  });
  out.after = commit_;
  out.effects.emplace_back(Reply{call, Answer(std::move(cluster))});
  return out;
}

absl::StatusOr<std::string> Scheduler::resolve_worker(const std::string& id_or_name) {
  const WorkerEntry* worker = workers_.find_by_id_or_name(id_or_name);
  if (worker != nullptr) return worker->id();
  return field_error(absl::StatusCode::kNotFound, "worker_id",
                     absl::StrCat("worker not found: \"", id_or_name, "\""));
}

}  // namespace clusterd
