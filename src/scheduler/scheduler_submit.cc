// Accepting jobs.

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/field_error.h"
#include "core/job_spec_check.h"
#include "core/proto_time.h"
#include "core/units.h"
#include "core/worker_protocol.h"
#include "scheduler/retry_rules.h"
#include "scheduler/scheduler.h"
#include "scheduler/worker_handlers.h"

namespace clusterd {

using std::chrono_literals::operator""s;

namespace {

// ", 2 gpu": counted resources of a worker.
std::string units_text(const v1::Resources& has) {
  std::string text;
  for (const auto& [name, count] :
       std::map<std::string, uint32_t>(has.custom().begin(), has.custom().end())) {
    absl::StrAppend(&text, ", ", count, " ", name);
  }
  return text;
}

}  // namespace

absl::Status Scheduler::check_room() const {
  const uint64_t most = config_.scheduling.max_queued;
  if (jobs_.queued() < most) return absl::OkStatus();
  return with_retry_delay(
      absl::ResourceExhaustedError(absl::StrCat("the queue is full: max_queued = ", most)), 1s);
}

absl::Status Scheduler::check_upload(const v1::JobSpec& spec) const {
  const uint64_t size = spec.script().content().size();
  const uint64_t most = config_.scheduling.max_upload_bytes;
  if (size > most) {
    return invalid_field("script.content",
                         absl::StrCat(size, " bytes are more than the scheduler's max_upload of ",
                                      format_size(most)));
  }
  const uint64_t most_together = config_.scheduling.max_uploads_bytes;
  if (size == 0 || jobs_.script_bytes() + size <= most_together) return absl::OkStatus();
  return with_retry_delay(
      absl::ResourceExhaustedError(absl::StrCat(
          "scripts of jobs that have not ended: max_uploads = ", format_size(most_together))),
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
  absl::Status refused = check_protocol(worker->protocol(), spec);
  if (refused.ok() && !is_original(worker->protocol()) && !spec.path().empty()) {
    refused = check_relative_path("path", spec.path());
  }
  if (!refused.ok()) return refused;
  const Shape shape = Shape::of(spec, worker->id());
  if (std::string taint = WorkerTable::untolerated_of(*worker, shape); !taint.empty()) {
    return field_error(absl::StatusCode::kFailedPrecondition, "tolerate",
                       absl::StrCat("worker ", worker->name(), " has the taint ", taint,
                                    ", which is not among them"));
  }
  if (!WorkerTable::knows_gangs(*worker, shape)) {
    return field_error(absl::StatusCode::kFailedPrecondition, "gang",
                       absl::StrCat("worker ", worker->name(), ", version ",
                                    worker->record.worker().version(), ", knows no gangs"));
  }
  if (!WorkerTable::fits_empty(*worker, spec.resources())) {
    const v1::Resources& has = worker->record.worker().capacity();
    return invalid_field("resources", absl::StrCat("the job can never fit worker ", worker->name(),
                                                   ", whose capacity is ", has.slots(), " slots, ",
                                                   has.cpus(), " cpus, ", has.memory_bytes(),
                                                   " bytes of memory", units_text(has)));
  }
  const v1::Resources& capacity = worker->record.worker().capacity();
  const uint32_t room = room_for(capacity, v1::Resources::default_instance(), 0, spec.resources(),
                                 std::max(1U, shape.gang_size));
  if (room < shape.gang_size) {
    return invalid_field(
        "gang.size", absl::StrCat(shape.gang_size, ": worker ", worker->name(), " has room for ",
                                  room, " of such tasks at once"));
  }
  if (!WorkerTable::takes_script(*worker, shape)) {
    return field_error(
        absl::StatusCode::kFailedPrecondition, "script",
        absl::StrCat("worker ", worker->name(), ", version ", worker->record.worker().version(),
                     ", knows no scripts that come with their jobs: it must lie "
                     "below the worker's scripts_dir"));
  }
  if (std::string fault = fault_of_handler(worker->record.worker(), spec.handler());
      !fault.empty()) {
    return invalid_field("handler", absl::StrCat("worker ", worker->name(), " ", fault));
  }
  if (std::string limit = WorkerTable::unenforced_of(*worker, shape.limits); !limit.empty()) {
    return field_error(
        absl::StatusCode::kFailedPrecondition, "limits." + limit,
        absl::StrCat("worker ", worker->name(), " cannot enforce it; its log says why"));
  }
  if (!workers_.matches(*worker, shape)) {
    return invalid_field("require", absl::StrCat("worker ", worker->name(), " does not meet it"));
  }
  return worker;
}

std::vector<std::string> Scheduler::dependencies_to_read(const v1::JobSpec& spec) {
  std::vector<std::string> ids;
  for (const v1::Dependency& dependency : spec.after()) {
    LiveJob* array = nullptr;
    if (jobs_.find(dependency.job_id()) != nullptr) continue;
    if (unrecorded_task(dependency.job_id(), &array)) continue;
    ids.push_back(dependency.job_id());
  }
  return ids;
}

Decision Scheduler::submit(CallId call, SubmitOrder order, Now now) {
  Decision out;
  LookUp question{.request_key = order.request.key,
                  .job_ids = dependencies_to_read(order.spec),
                  .external_id = order.external_id};
  submit_after(std::move(question), call, std::move(order), out, now);
  return seal(std::move(out), now);
}

// Accepts the job once the store has said what the job needs of it.
void Scheduler::submit_after(LookUp question, CallId call, SubmitOrder order, Decision& out,
                             Now now) {
  const RequestKey request = order.request;
  KeyedCall keyed{.call = call, .request = request};
  keyed.repeat = [this, call](const std::string& job_id, Decision& later) {
    ask(call, {.kind = ParkedCall::Kind::kFirstAnswer, .job_id = job_id}, later);
  };
  keyed.first = [this, call, order = std::move(order), question](
                    absl::StatusOr<LookedUp> found, Decision& later, Now then) mutable {
    (void)accept(call, std::move(order), question, *found, later, then);
  };
  const bool known = !request.key.empty() && first_answers_.contains(request.key);
  const bool nothing_to_read =
      question.request_key.empty() && question.job_ids.empty() && question.external_id.empty();
  if (known || nothing_to_read) {
    return go_on(keyed, LookedUp(), out, now);
  }
  look_up(
      std::move(question), call,
      [this, keyed = std::move(keyed)](absl::StatusOr<LookedUp> found, Decision& later,
                                       Now then) mutable {
        go_on(keyed, std::move(found), later, then);
      },
      out);
}

absl::Status Scheduler::check_dependencies(const LookUp& question, const LookedUp& found) {
  for (size_t i = 0; i < question.job_ids.size(); ++i) {
    const std::string& job_id = question.job_ids[i];
    const absl::Status& status = found.jobs[i].status();
    if (status.ok() || jobs_.find(job_id) != nullptr) continue;
    if (!absl::IsNotFound(status)) return status;
    return field_error(absl::StatusCode::kNotFound, "after",
                       absl::StrCat("job not found: \"", job_id, "\""));
  }
  return absl::OkStatus();
}

absl::Status Scheduler::accept(CallId call, SubmitOrder order, const LookUp& question,
                               const LookedUp& found, Decision& out, Now now) {
  // A gang is an array whose tasks start at once: its ranks are their indexes.
  if (order.spec.has_gang()) order.spec.mutable_array()->set_to(order.spec.gang().size() - 1);
  for (const std::string& job_id : dependencies_to_read(order.spec)) {
    const auto& asked = question.job_ids;
    if (std::find(asked.begin(), asked.end(), job_id) != asked.end()) continue;
    // It ended, and left, while the store was asked for others.
    LookUp again{.request_key = order.request.key,
                 .job_ids = dependencies_to_read(order.spec),
                 .external_id = order.external_id};
    submit_after(std::move(again), call, std::move(order), out, now);
    return absl::OkStatus();
  }
  absl::Status refused = check_external_id(order.external_id, found);
  if (refused.ok()) refused = check_room();
  if (refused.ok()) {
    refused =
        check_queue_room(order.spec, order.spec.has_array() ? task_count(order.spec.array()) : 1);
  }
  if (refused.ok()) refused = check_upload(order.spec);
  if (refused.ok()) refused = check_dependencies(question, found);
  WorkerEntry* target = nullptr;
  if (refused.ok() && !order.spec.worker_id().empty()) {
    const auto directed = directed_target(order.spec);
    refused = directed.status();
    if (directed.ok()) target = *directed;
  }
  if (refused.ok() && target == nullptr && !workers_.has_go_work()) {
    refused = check_protocol(v1::Worker::CLUSTERD, order.spec);
  }
  const bool waits =
      order.spec.has_start_at() || order.spec.has_start_delay() || !order.spec.after().empty();
  if (refused.ok() && !waits && order.spec.resources().every_worker()) {
    refused = check_broadcast(order.spec);
  }
  if (!refused.ok()) {
    reply(call, refused, out);
    return refused;
  }

  LiveJob live;
  if (!order.request.key.empty()) live.submission.edit().request_key = order.request.key;
  v1::Job& job = live.job;
  job.set_job_id(order.job_id);
  job.set_seq(++last_seq_);
  *job.mutable_spec() = std::move(order.spec);
  job.set_submitted_by(order.submitted_by);
  job.set_external_id(order.external_id);
  job.set_schedule(order.schedule);
  job.set_trace_parent(order.trace_parent);
  *job.mutable_submit_time() = to_proto(now.wall);
  if (target != nullptr) job.set_worker_id(target->id());
  job.set_state(v1::Job::QUEUED);
  if (has_tasks(job)) {
    live.tasks = TaskGroup::of(job, {});
    job.set_state(v1::Job::RUNNING);
  }
  metrics_.submitted.add();
  LiveJob& kept = jobs_.insert(std::move(live));
  for (auto& [id, pending] : lookups_) {
    const bool asks =
        !order.external_id.empty() && pending.question.external_id == order.external_id;
    if (asks) pending.stale = true;
  }
  keep_first_answer(order.request, order.job_id, out, now);
  mark(kept);
  if (kept.job.spec().has_start_at()) {
    const WallTime at = from_proto(kept.job.spec().start_at());
    hold_until(kept, now.boot + left_of({}, at, now.wall));
  } else if (kept.job.spec().has_start_delay()) {
    hold_until(kept, now.boot + from_proto(kept.job.spec().start_delay()));
  }
  wait_for_dependencies(kept);
  dependencies_read(kept, question.job_ids, found, out, now);
  place(out, now);
  answer_submitted(order.job_id, call, out, now);
  return absl::OkStatus();
}

void Scheduler::answer_submitted(const std::string& job_id, CallId call, Decision& out, Now now) {
  LiveJob& kept = *jobs_.find(job_id);
  if (!kept.target().empty() && kept.job.state() == v1::Job::STARTING) {
    kept.submission.edit().start_call = call;
    timers_.add({now.boot + config_.scheduling.start_wait, TimerKind::kStartWait, job_id});
    return;
  }
  reply(call, Answer(shown(kept.job)), out);
}

}  // namespace clusterd
