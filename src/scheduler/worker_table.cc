#include "scheduler/worker_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/worker_features.h"
#include "core/worker_protocol.h"
#include "scheduler/worker_handlers.h"

namespace clusterd {
namespace {

// Sums of fractions such as 0.1 + 0.2 stay comparable.
constexpr double kCpuTolerance = 1e-9;

bool is_own(const WorkerEntry& worker) { return !is_original(worker.protocol()); }
bool meets(const WorkerEntry& worker, const std::vector<LabelExpression>& require) {
  return std::all_of(require.begin(), require.end(), [&worker](const LabelExpression& expression) {
    return expression.matches(worker.record.worker().labels());
  });
}

double free_share(const v1::Worker& worker) {
  const double slots = std::max(1U, worker.capacity().slots());
  return 1.0 - worker.in_use().slots() / slots;
}

}  // namespace

uint32_t slots_of(const v1::Resources& wants) { return std::max(1U, wants.slots()); }

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
  for (auto& [id, worker] : workers_) {
    if (worker.name() == id_or_name && worker.state() != v1::Worker::LEFT) return &worker;
  }
  return nullptr;
}

WorkerEntry* WorkerTable::find_by_stream(StreamId stream) {
  const auto found = by_stream_.find(stream);
  return found == by_stream_.end() ? nullptr : found->second;
}

void WorkerTable::set_stream(WorkerEntry& worker, StreamId stream) {
  by_stream_.erase(worker.stream);
  worker.stream = stream;
  if (stream != 0) by_stream_[stream] = &worker;
}

WorkerEntry& WorkerTable::insert(internal::WorkerRecord record, BootTime now) {
  const std::string id = record.worker().worker_id();
  WorkerEntry& entry = workers_[id];
  entry.record = std::move(record);
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
  v1::Resources& used = *shown.mutable_in_use();
  used.set_slots(used.slots() + slots_of(job.spec().resources()));
  used.set_cpus(used.cpus() + job.spec().resources().cpus());
  used.set_memory_bytes(used.memory_bytes() + job.spec().resources().memory_bytes());
  count_handler(shown, job.spec(), 1);
  shown.set_jobs(shown.jobs() + 1);
}

void WorkerTable::release(WorkerEntry& worker, const v1::Job& job) {
  if (worker.jobs.erase(job.job_id()) == 0) return;
  v1::Worker& shown = *worker.record.mutable_worker();
  v1::Resources& used = *shown.mutable_in_use();
  used.set_slots(used.slots() - slots_of(job.spec().resources()));
  used.set_cpus(worker.jobs.empty() ? 0 : used.cpus() - job.spec().resources().cpus());
  used.set_memory_bytes(used.memory_bytes() - job.spec().resources().memory_bytes());
  count_handler(shown, job.spec(), -1);
  shown.set_jobs(shown.jobs() - 1);
}

const WorkerTable::Kinds& WorkerTable::kinds() const {
  if (!kinds_) {
    kinds_.emplace();
    for (const auto& [id, worker] : workers_) {
      if (worker.state() == v1::Worker::LEFT || worker.state() == v1::Worker::LOST) continue;
      (worker.protocol() == v1::Worker::GO_WORK ? kinds_->go_work : kinds_->others) = true;
    }
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

std::string WorkerTable::lack_of(const WorkerEntry& worker, const v1::Resources& wants) {
  const v1::Resources& has = worker.record.worker().capacity();
  const v1::Resources& used = worker.record.worker().in_use();
  if (used.slots() + slots_of(wants) > has.slots()) {
    return absl::StrCat("needs ", slots_of(wants), " slots, ", has.slots() - used.slots(), " of ",
                        has.slots(), " are free");
  }
  if (wants.cpus() > 0 && used.cpus() + wants.cpus() > has.cpus() + kCpuTolerance) {
    return absl::StrCat("needs ", wants.cpus(), " cpus, ", has.cpus() - used.cpus(), " of ",
                        has.cpus(), " are free");
  }
  if (wants.memory_bytes() > 0 && used.memory_bytes() + wants.memory_bytes() > has.memory_bytes()) {
    return absl::StrCat("needs ", wants.memory_bytes(), " bytes of memory, ",
                        has.memory_bytes() - used.memory_bytes(), " of ", has.memory_bytes(),
                        " are free");
  }
  return "";
}

bool WorkerTable::fits_empty(const WorkerEntry& worker, const v1::Resources& wants) {
  const v1::Resources& has = worker.record.worker().capacity();
  return slots_of(wants) <= has.slots() && wants.cpus() <= has.cpus() + kCpuTolerance &&
         wants.memory_bytes() <= has.memory_bytes();
}

WorkerEntry* WorkerTable::best_for(const Shape& shape,
                                   const std::set<const WorkerEntry*>& reserved) {
  WorkerEntry* best = nullptr;
  const auto consider = [&](WorkerEntry& worker) {
    if (!worker.takes_jobs() || !lack_of(worker, shape.resources).empty()) return;
    if (!lack_of_handler(worker.record.worker(), shape.handler).empty()) return;
    if (reserved.contains(&worker) || !matches(worker, shape)) return;
    if (best == nullptr || is_own(worker) > is_own(*best) ||
        (is_own(worker) == is_own(*best) &&
         free_share(worker.record.worker()) > free_share(best->record.worker()))) {
      best = &worker;
    }
  };
  if (shape.worker_id.empty()) {
    for (auto& [id, worker] : workers_) consider(worker);
  } else if (WorkerEntry* worker = find(shape.worker_id)) {
    consider(*worker);
  }
  return best;
}

const WorkerEntry* WorkerTable::reservation_for(const Shape& shape,
                                                const std::set<const WorkerEntry*>& reserved) {
  const WorkerEntry* best = nullptr;
  const auto consider = [&](const WorkerEntry& worker) {
    if (!worker.takes_jobs() || !fits_empty(worker, shape.resources)) return;
    // What it waits for there is no room, so that others may have what room there is.
    if (!lack_of_handler(worker.record.worker(), shape.handler).empty()) return;
    if (reserved.contains(&worker) || !matches(worker, shape)) return;
    if (best == nullptr || free_share(worker.record.worker()) > free_share(best->record.worker())) {
      best = &worker;
    }
  };
  if (shape.worker_id.empty()) {
    for (const auto& [id, worker] : workers_) consider(worker);
  } else if (const WorkerEntry* worker = find(shape.worker_id)) {
    consider(*worker);
  }
  return best;
}

std::vector<WorkerEntry*> WorkerTable::matching(const Shape& shape) {
  std::vector<WorkerEntry*> found;
  for (auto& [id, worker] : workers_) {
    if (worker.takes_jobs() && matches(worker, shape) && fits_empty(worker, shape.resources)) {
      found.push_back(&worker);
    }
  }
  return found;
}

std::string WorkerTable::shortage(const Shape& shape) {
  if (!shape.worker_id.empty()) {
    const WorkerEntry* worker = find(shape.worker_id);
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
    return worker->stream == 0 ? "waits for its worker to reconnect"
                               : "waits for room on its worker";
  }
  bool any_takes = false;
  bool any_meets = false;
  bool any_matches = false;
  bool any_takes_script = false;
  bool any_fits = false;
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
    if (!matches(worker, shape)) continue;
    any_matches = true;
    any_fits = any_fits || fits_empty(worker, shape.resources);
  }
  if (any_fits) return "waits for a worker with room";
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
  if (any_meets && shape.limits.empty()) return "no worker that takes jobs can do what it asks";
  if (any_meets) return "no worker that takes jobs can enforce its limits";
  return any_takes ? "no worker that takes jobs meets require" : "no worker takes jobs";
}

bool WorkerTable::any_room() const {
  return std::any_of(workers_.begin(), workers_.end(), [](const auto& entry) {
    const v1::Worker& worker = entry.second.record.worker();
    return entry.second.takes_jobs() && worker.in_use().slots() < worker.capacity().slots();
  });
}

void WorkerTable::for_each(const std::function<void(WorkerEntry&)>& visit) {
  for (auto& [id, worker] : workers_) visit(worker);
}

}  // namespace clusterd
