// What the cluster looks like: workers, counts, and why a job is where it is.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clusterd/job_states.h"
#include "clusterd/version.h"
#include "core/field_error.h"
#include "core/proto_time.h"
#include "core/worker_protocol.h"
#include "scheduler/scheduler.h"
#include "scheduler/worker_handlers.h"

namespace clusterd {
namespace {

constexpr uint64_t kMostCountedAhead = 10'000;

std::vector<std::string> reasons_against(const WorkerTable& workers, const WorkerEntry& worker,
                                         const Shape& shape) {
  std::vector<std::string> reasons;
  const v1::Worker& shown_worker = worker.record.worker();
  if (!shape.worker_id.empty() && shape.worker_id != worker.id()) {
    reasons.emplace_back("the job names another worker");
  }
  if (worker.state() != v1::Worker::ALIVE) {
    reasons.push_back(absl::StrCat("is ", v1::Worker::State_Name(worker.state()),
                                   shown_worker.reason().empty() ? "" : ": ",
                                   shown_worker.reason()));
  } else if (worker.stream == 0) {
    reasons.emplace_back("its session is closed");
  }
  if (shown_worker.draining()) reasons.emplace_back("is drained");
  if (shape.worker_id.empty() && worker.in_quarantine() && !worker.probe_due) {
    reasons.push_back("is in quarantine: " + shown_worker.quarantine().reason());
  }
  if (!worker.occupied.empty()) reasons.push_back(worker.occupied);
  if (!workers.suits(worker, shape)) {
    reasons.push_back(absl::StrCat("its protocol, ", std::string(word_of(worker.protocol())),
                                   ", is not for such jobs"));
  }
  if (!WorkerTable::takes_script(worker, shape)) {
    reasons.emplace_back("does not run scripts that come with their jobs (jobs.allow_uploads)");
  }
  if (std::string fault = fault_of_handler(shown_worker, shape.handler); !fault.empty()) {
    reasons.push_back(std::move(fault));
  } else if (std::string lack = lack_of_handler(shown_worker, shape.handler); !lack.empty()) {
    reasons.push_back(std::move(lack));
  }
  for (const LabelExpression& expression : shape.require) {
    if (!expression.matches(shown_worker.labels())) {
      reasons.push_back("does not meet " + expression.text());
    }
  }
  if (std::string taint = WorkerTable::untolerated_of(worker, shape); !taint.empty()) {
    reasons.push_back("has the taint " + taint + ", which the job does not tolerate");
  }
  if (!WorkerTable::knows_gangs(worker, shape)) reasons.emplace_back("knows no gangs");
  if (std::string limit = WorkerTable::unenforced_of(worker, shape.limits); !limit.empty()) {
    reasons.push_back("cannot enforce limits." + limit);
  }
  if (!WorkerTable::fits_empty(worker, shape.resources)) {
    reasons.emplace_back("is too small for the job");
  } else if (std::string lack = WorkerTable::lack_of(worker, shape.resources); !lack.empty()) {
    reasons.push_back(std::move(lack));
  }
  return reasons;
}

}  // namespace

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
  answer_worker(call, request.worker_id(), out);
  return out;
}

void Scheduler::answer_worker(CallId call, const std::string& id_or_name, Decision& out) {
  out.after = std::max(out.after, workers_commit_);
  const WorkerEntry* worker = workers_.find_by_id_or_name(id_or_name);
  if (worker == nullptr) return reply(call, resolve_worker(id_or_name).status(), out);
  reply(call, Answer(worker->record.worker()), out);
}

Decision Scheduler::get_cluster(CallId call, v1::Caller caller, std::string leader) {
  Decision out;
  v1::Cluster cluster;
  *cluster.mutable_caller() = std::move(caller);
  cluster.set_queued(jobs_.queued());
  cluster.set_last_event(last_event_);
  cluster.set_epoch(epoch_);
  cluster.set_leader(std::move(leader));
  cluster.set_version(version());
  *cluster.mutable_since() = to_proto(since_);
  for (const auto& [state, count] : jobs_.counts()) {
    if (count > 0) (*cluster.mutable_job_counts())[std::string(name_of(state))] = count;
  }
  for (const auto& [state, count] : jobs_.ended_counts()) {
    (*cluster.mutable_ended_counts())[std::string(name_of(state))] = count;
  }
  workers_.for_each([&cluster](const WorkerEntry& worker) {
    ++(*cluster.mutable_worker_counts())[v1::Worker::State_Name(worker.state())];
    cluster.set_running(cluster.running() + worker.record.worker().jobs());
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
    for (const auto& [name, count] : has.custom()) (*all.mutable_custom())[name] += count;
    for (const auto& [name, count] : used.custom()) (*taken.mutable_custom())[name] += count;
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

v1::ExplainJobResponse Scheduler::explanation(const v1::Job& job) {
  v1::ExplainJobResponse answer;
  answer.set_job_id(job.job_id());
  answer.set_state(job.state());
  const LiveJob* live = jobs_.find(job.job_id());
  LiveJob* array = nullptr;
  if (live == nullptr && unrecorded_task(job.job_id(), &array)) live = array;
  if (live == nullptr || !waits_for_room(*live)) {
    answer.set_summary(summary_of(job));
    return answer;
  }
  answer.set_summary(pending_reason(*live));
  if (!live->eligible_at) return answer;
  answer.set_jobs_ahead(jobs_.ready().count_before(queue_of(live->job.spec()),
                                                   JobTable::key_of(*live), kMostCountedAhead));
  const Shape shape = Shape::of(live->job.spec(), live->target());
  workers_.for_each([this, &answer, &shape](const WorkerEntry& worker) {
    if (worker.state() == v1::Worker::LEFT) return;
    auto& verdict = *answer.add_workers();
    verdict.set_worker_id(worker.id());
    verdict.set_name(worker.name());
    for (std::string& reason : reasons_against(workers_, worker, shape)) {
      verdict.add_reasons(std::move(reason));
    }
    verdict.set_fits(verdict.reasons().empty());
    if (!verdict.fits() || shape.gang_size == 0) return;
    const v1::Worker& shown = worker.record.worker();
    const uint32_t room = room_for(shown.capacity(), shown.in_use(), worker.jobs.size(),
                                   shape.resources, shape.gang_size);
    if (room >= shape.gang_size) return;
    verdict.add_reasons(absl::StrCat("has room for ", room, " of ", shape.gang_size, " tasks"));
  });
  return answer;
}

std::string Scheduler::summary_of(const v1::Job& job) {
  const std::string state = v1::Job::State_Name(job.state());
  if (is_final(job.state())) {
    const std::string reason = v1::JobEnd::Reason_Name(job.end().reason());
    return absl::StrCat("ended ", state, ": ", reason, job.end().message().empty() ? "" : ", ",
                        job.end().message());
  }
  const WorkerEntry* worker = workers_.find(job.worker_id());
  if (worker == nullptr) return "is " + state;
  return absl::StrCat("is ", state, " on worker ", worker->name(),
                      worker->state() == v1::Worker::ALIVE
                          ? ""
                          : ", which is " + v1::Worker::State_Name(worker->state()));
}

}  // namespace clusterd
