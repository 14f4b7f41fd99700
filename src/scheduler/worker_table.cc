#include "scheduler/worker_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/worker_features.h"
#include "core/worker_protocol.h"
#include "scheduler/resources_sum.h"
#include "scheduler/worker_handlers.h"

namespace clusterd {
namespace {

bool meets(const WorkerEntry& worker, const std::vector<LabelExpression>& require) {
  return std::all_of(require.begin(), require.end(), [&worker](const LabelExpression& expression) {
    return expression.matches(worker.record.worker().labels());
  });
}

// What keeps a job that names this worker from it, but for room; empty: nothing.
std::string obstacle_at(const WorkerEntry* worker) {
  if (worker == nullptr) return "waits for a worker that is not known";
  if (worker->record.worker().draining()) {
    return absl::StrCat("waits for worker ", worker->name(), ", which is drained");
  }
  if (worker->state() != v1::Worker::ALIVE) {
    return absl::StrCat("waits for worker ", worker->name(), ", which is ",
                        v1::Worker::State_Name(worker->state()));
  }
  if (!worker->occupied.empty()) {
    return absl::StrCat("waits for worker ", worker->name(), ", which ", worker->occupied);
  }
  return worker->stream == 0 ? "waits for its worker to reconnect" : "";
}

}  // namespace

bool WorkerEntry::has_feature(const std::string& name) const {
  const auto& features = record.identity().features();
  return std::find(features.begin(), features.end(), name) != features.end();
}

WorkerEntry* WorkerTable::find(const std::string& worker_id) {
  const auto found = workers_.find(worker_id);
  return found == workers_.end() ? nullptr : &found->second;
}

WorkerEntry* WorkerTable::find_by_id_or_name(const std::string& id_or_name) {
  if (WorkerEntry* by_id = find(id_or_name)) return by_id;
  const auto [first, last] = by_name_.equal_range(id_or_name);
  for (auto named = first; named != last; ++named) {
    if (named->second->state() != v1::Worker::LEFT) return named->second;
  }
  return nullptr;
}

void WorkerTable::forget_name(const WorkerEntry& worker) {
  const auto [first, last] = by_name_.equal_range(worker.name());
  const auto named =
      std::find_if(first, last, [&worker](const auto& entry) { return entry.second == &worker; });
  if (named != last) by_name_.erase(named);
}

void WorkerTable::rename(WorkerEntry& worker, const std::string& name) {
  if (worker.name() == name) return;
  forget_name(worker);
  worker.record.mutable_worker()->set_name(name);
  by_name_.emplace(name, &worker);
}

void WorkerTable::erase(const std::string& worker_id) {
  const auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  forget_name(found->second);
  workers_.erase(found);
}

WorkerEntry* WorkerTable::find_by_stream(StreamId stream) {
  const auto found = by_stream_.find(stream);
  return found == by_stream_.end() ? nullptr : found->second;
}

void WorkerTable::set_stream(WorkerEntry& worker, StreamId stream) {
  by_stream_.erase(worker.stream);
  worker.stream = stream;
  ++generation_;
  if (stream != 0) by_stream_[stream] = &worker;
}

WorkerEntry& WorkerTable::insert(internal::WorkerRecord record, BootTime now) {
  const std::string id = record.worker().worker_id();
  WorkerEntry& entry = workers_[id];
  forget_name(entry);
  entry.record = std::move(record);
  by_name_.emplace(entry.name(), &entry);
  entry.record.mutable_worker()->clear_in_use();
  entry.record.mutable_worker()->clear_jobs();
  for (v1::Handler& handler : *entry.record.mutable_worker()->mutable_handlers()) {
    handler.clear_running();
  }
  entry.last_heard = now;
  members_changed();
  return entry;
}

std::string WorkerTable::free_name(const std::string& wished, const std::string& worker_id) {
  std::string name = wished;
  for (int number = 2;; ++number) {
    const WorkerEntry* holder = find_by_id_or_name(name);
    if (holder == nullptr || holder->id() == worker_id) return name;
    name = absl::StrCat(wished, "-", number);
  }
}

void WorkerTable::take(WorkerEntry& worker, const v1::Job& job) {
  if (!worker.jobs.insert(job.job_id()).second) return;
  v1::Worker& shown = *worker.record.mutable_worker();
  add_to(*shown.mutable_in_use(), job.spec().resources());
  count_handler(shown, job.spec(), 1);
  shown.set_jobs(shown.jobs() + 1);
  if (job.attempts().empty()) return;
  for (const v1::AssignedUnits& units : job.attempts().rbegin()->units()) {
    worker.units[units.name()].insert(units.ids().begin(), units.ids().end());
  }
}

void WorkerTable::release(WorkerEntry& worker, const v1::Job& job) {
  if (worker.jobs.erase(job.job_id()) == 0) return;
  v1::Worker& shown = *worker.record.mutable_worker();
  take_from(*shown.mutable_in_use(), job.spec().resources());
  if (worker.jobs.empty()) shown.mutable_in_use()->set_cpus(0);
  count_handler(shown, job.spec(), -1);
  shown.set_jobs(shown.jobs() - 1);
  if (job.attempts().empty()) return;
  for (const v1::AssignedUnits& units : job.attempts().rbegin()->units()) {
    for (const uint32_t id : units.ids()) worker.units[units.name()].erase(id);
  }
}

const WorkerTable::Kinds& WorkerTable::kinds() const {
  if (!kinds_) {
    Kinds kinds;
    for (const auto& [id, worker] : workers_) {
      if (worker.state() == v1::Worker::LEFT || worker.state() == v1::Worker::LOST) continue;
      (worker.protocol() == v1::Worker::GO_WORK ? kinds.go_work : kinds.others) = true;
    }
    kinds_ = kinds;
  }
  return *kinds_;
}

bool WorkerTable::suits(const WorkerEntry& worker, const Shape& shape) const {
  const bool is_go_work = worker.protocol() == v1::Worker::GO_WORK;
  const bool can = is_go_work                                      ? shape.suits_go_work
                   : worker.protocol() == v1::Worker::JOBSCHEDULER ? shape.suits_jobscheduler
                                                                   : shape.suits_clusterd;
  if (!can || !shape.worker_id.empty()) return can;
  const bool rather_go_work = shape.has_payload ? kinds().go_work : !kinds().others;
  return is_go_work == rather_go_work;
}

bool WorkerTable::matches(const WorkerEntry& worker, const Shape& shape) const {
  if (!shape.worker_id.empty() && shape.worker_id != worker.id()) return false;
  if (shape.worker_id.empty() && worker.in_quarantine() && !worker.probe_due) return false;
  if (!suits(worker, shape) || !takes_script(worker, shape)) return false;
  if (!untolerated_of(worker, shape).empty() || !knows_gangs(worker, shape)) return false;
  // Tried is one job at a time.
  if (shape.gang_size > 0 && shape.worker_id.empty() && worker.in_quarantine()) return false;
  if (!offers_handler(worker.record.worker(), shape.handler)) return false;
  return meets(worker, shape.require) && unenforced_of(worker, shape.limits).empty();
}

bool WorkerTable::takes_script(const WorkerEntry& worker, const Shape& shape) {
  if (!shape.has_script) return true;
  return worker.has_feature(shape.worker_id.empty() ? kRunsUploads : kKnowsUploads);
}

std::string WorkerTable::unenforced_of(const WorkerEntry& worker,
                                       const std::vector<std::string>& limits) {
  const auto& unenforced = worker.record.worker().unenforced_limits();
  for (const std::string& limit : limits) {
    if (std::find(unenforced.begin(), unenforced.end(), limit) != unenforced.end()) return limit;
  }
  return "";
}

std::string WorkerTable::untolerated_of(const WorkerEntry& worker, const Shape& shape) {
  for (const std::string& taint : worker.record.worker().taints()) {
    const std::string key = taint.substr(0, taint.find('='));
    const bool tolerated = std::any_of(
        shape.tolerate.begin(), shape.tolerate.end(), [&](const std::string& tolerates) {
          return tolerates == "*" || tolerates == taint || tolerates == key;
        });
    if (!tolerated) return taint;
  }
  return "";
}

bool WorkerTable::knows_gangs(const WorkerEntry& worker, const Shape& shape) {
  return !shape.is_in_gang || worker.has_feature(kKnowsGangs);
}

std::string WorkerTable::lack_of(const WorkerEntry& worker, const v1::Resources& wants) {
  const v1::Worker& shown = worker.record.worker();
  return clusterd::lack_of(shown.capacity(), shown.in_use(), worker.jobs.size(), wants);
}

bool WorkerTable::fits_empty(const WorkerEntry& worker, const v1::Resources& wants) {
  return fits(worker.record.worker().capacity(), v1::Resources::default_instance(), 0, wants);
}

std::vector<WorkerEntry*> WorkerTable::matching(const Shape& shape) {
  std::vector<WorkerEntry*> found;
  for (auto& [id, worker] : workers_) {
    if (worker.takes_jobs() && !worker.in_quarantine() && matches(worker, shape) &&
        fits_empty(worker, shape.resources)) {
      found.push_back(&worker);
    }
  }
  return found;
}

std::string WorkerTable::shortage(const Shape& shape) {
  if (!shape.worker_id.empty()) {
    std::string obstacle = obstacle_at(find(shape.worker_id));
    if (!obstacle.empty()) return obstacle;
    return shape.gang_size > 0 ? gang_shortage(shape) : "waits for room on its worker";
  }
  bool any_takes = false;
  bool any_meets = false;
  bool any_matches = false;
  bool any_takes_script = false;
  bool any_tolerated = false;
  const WorkerEntry* sick = nullptr;
  bool any_offers = false;
  for (const auto& [id, worker] : workers_) {
    if (!worker.takes_jobs()) continue;
    if (worker.in_quarantine() && !worker.probe_due) {
      const bool fits = meets(worker, shape.require) && fits_empty(worker, shape.resources);
      if (fits && suits(worker, shape)) sick = &worker;
      continue;
    }
    any_takes = true;
    any_meets = any_meets || meets(worker, shape.require);
    any_offers = any_offers || offers_handler(worker.record.worker(), shape.handler);
    any_takes_script = any_takes_script || takes_script(worker, shape);
    any_tolerated = any_tolerated || untolerated_of(worker, shape).empty();
    if (!matches(worker, shape)) continue;
    any_matches = true;
    if (!fits_empty(worker, shape.resources)) continue;
    return shape.gang_size > 0 ? gang_shortage(shape) : "waits for a worker with room";
  }
  if (sick != nullptr) {
    return absl::StrCat("worker ", sick->name(),
                        " is in quarantine: ", sick->record.worker().quarantine().reason());
  }
  if (any_matches) return "no worker that takes jobs is large enough";
  if (any_takes && !any_offers) {
    return shape.handler.empty()
               ? "no worker that takes jobs runs others than those of its handlers"
               : "no worker that takes jobs offers handler " + shape.handler;
  }
  if (any_takes && !shape.suits_clusterd) {
    return "no worker that takes jobs is one of the go-work protocol";
  }
  if (any_takes && !any_takes_script) {
    return "no worker that takes jobs runs scripts that come with them (jobs.allow_uploads)";
  }
  if (any_takes && !any_tolerated) {
    return "all workers that take jobs have taints that it does not tolerate";
  }
  if (any_meets && shape.limits.empty()) return "no worker that takes jobs can do what it asks";
  if (any_meets) return "no worker that takes jobs can enforce its limits";
  return any_takes ? "no worker that takes jobs meets require" : "no worker takes jobs";
}

void WorkerTable::for_each(const std::function<void(WorkerEntry&)>& visit) {
  for (auto& [id, worker] : workers_) visit(worker);
}

}  // namespace clusterd
