// Where a job goes: the choice among workers that have room, and what is kept for those who wait.

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "core/worker_protocol.h"
#include "scheduler/worker_handlers.h"
#include "scheduler/worker_table.h"

namespace clusterd {
namespace {

double free_share(const v1::Worker& worker) {
  const double slots = std::max(1U, worker.capacity().slots());
  return 1.0 - worker.in_use().slots() / slots;
}

int64_t preference_for(const WorkerEntry& worker, const Shape& shape) {
  int64_t sum = 0;
  for (const auto& [expression, weight] : shape.prefer) {
    if (expression.matches(worker.record.worker().labels())) sum += weight;
  }
  return sum;
}

// The greater the better.
std::tuple<int64_t, bool, double> merit_of(const WorkerEntry& worker, const Shape& shape) {
  const v1::Worker& shown = worker.record.worker();
  const double room = shape.pack ? double{0} + shown.in_use().slots() - shown.capacity().slots()
                                 : free_share(shown);
  return {preference_for(worker, shape), !is_original(worker.protocol()), room};
}

}  // namespace

WorkerEntry* WorkerTable::best_for(const Shape& shape, const Reserved& reserved) {
  WorkerEntry* best = nullptr;
  std::tuple<int64_t, bool, double> best_merit;
  const auto consider = [&](WorkerEntry& worker) {
    const v1::Worker& shown = worker.record.worker();
    if (!worker.takes_jobs()) return;
    if (!fits(shown.capacity(), shown.in_use(), worker.jobs.size(), shape.resources)) return;
    if (!lack_of_handler(shown, shape.handler).empty()) return;
    if (reserved.contains(&worker) || !matches(worker, shape)) return;
    const auto merit = merit_of(worker, shape);
    if (best != nullptr && merit <= best_merit) return;
    best = &worker;
    best_merit = merit;
  };
  if (shape.worker_id.empty()) {
    for (auto& [id, worker] : workers_) consider(worker);
  } else if (WorkerEntry* worker = find(shape.worker_id)) {
    consider(*worker);
  }
  return best;
}

std::vector<WorkerEntry*> WorkerTable::best_for_gang(const Shape& shape, const Reserved& reserved) {
  uint32_t room = 0;
  for (const auto& [id, worker] : workers_) {
    if (room >= shape.gang_size) break;
    if (!worker.takes_jobs() || reserved.contains(&worker) || !matches(worker, shape)) continue;
    const v1::Worker& shown = worker.record.worker();
    room += clusterd::room_for(shown.capacity(), shown.in_use(), worker.jobs.size(),
                               shape.resources, shape.gang_size);
  }
  std::vector<WorkerEntry*> chosen;
  if (room < shape.gang_size) return chosen;
  // Each task is put down for trial, so that the next one sees what is left.
  std::map<WorkerEntry*, v1::Resources> before;
  while (chosen.size() < shape.gang_size) {
    WorkerEntry* worker = best_for(shape, reserved);
    if (worker == nullptr) break;
    v1::Resources& used = *worker->record.mutable_worker()->mutable_in_use();
    before.try_emplace(worker, used);
    add_to(used, shape.resources);
    chosen.push_back(worker);
  }
  for (auto& [worker, used] : before) {
    *worker->record.mutable_worker()->mutable_in_use() = std::move(used);
  }
  if (chosen.size() < shape.gang_size) chosen.clear();
  return chosen;
}

bool WorkerTable::reserve_for(const Shape& shape, Reserved& reserved) {
  bool any = false;
  std::vector<std::pair<double, const WorkerEntry*>> candidates;
  const auto consider = [&](const WorkerEntry& worker) {
    if (!worker.takes_jobs() || !fits_empty(worker, shape.resources)) return;
    if (!matches(worker, shape)) return;
    any = true;
    // What it waits for there may be no room, so that others may have what room there is.
    if (!lack_of_handler(worker.record.worker(), shape.handler).empty()) return;
    if (reserved.contains(&worker)) return;
    candidates.emplace_back(-free_share(worker.record.worker()), &worker);
  };
  if (shape.worker_id.empty()) {
    for (const auto& [id, worker] : workers_) consider(worker);
  } else if (const WorkerEntry* worker = find(shape.worker_id)) {
    consider(*worker);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const uint32_t wanted = std::max(1U, shape.gang_size);
  std::vector<const WorkerEntry*> kept;
  uint32_t room = 0;
  for (const auto& [order, worker] : candidates) {
    if (room >= wanted) break;
    kept.push_back(worker);
    room += clusterd::room_for(worker->record.worker().capacity(),
                               v1::Resources::default_instance(), 0, shape.resources, wanted);
  }
  if (room >= wanted) reserved.insert(kept.begin(), kept.end());
  return any;
}

bool WorkerTable::any_room(const Reserved& reserved) const {
  return std::any_of(workers_.begin(), workers_.end(), [&reserved](const auto& entry) {
    const v1::Worker& worker = entry.second.record.worker();
    return worker.in_use().slots() < worker.capacity().slots() && !worker.in_use().exclusive() &&
           entry.second.takes_jobs() && !reserved.contains(&entry.second);
  });
}

uint32_t WorkerTable::room_for_gang(const Shape& shape, bool empty, uint32_t limit) {
  uint64_t room = 0;
  for (const auto& [id, worker] : workers_) {
    if (!worker.takes_jobs() || !matches(worker, shape)) continue;
    const v1::Worker& shown = worker.record.worker();
    room += clusterd::room_for(shown.capacity(),
                               empty ? v1::Resources::default_instance() : shown.in_use(),
                               empty ? 0 : worker.jobs.size(), shape.resources, limit);
  }
  return static_cast<uint32_t>(std::min<uint64_t>(room, limit));
}

std::string WorkerTable::gang_shortage(const Shape& shape) {
  constexpr uint32_t kMany = 1'000'000;
  const uint32_t free = room_for_gang(shape, false, kMany);
  const bool ever = room_for_gang(shape, true, kMany) >= shape.gang_size;
  // Where slots are all that it asks for, they are what people count in.
  const v1::Resources& wants = shape.resources;
  const bool only_slots = wants.cpus() == 0 && wants.memory_bytes() == 0 &&
                          wants.custom().empty() && !wants.exclusive();
  const uint64_t slots = only_slots ? slots_of(wants) : 1;
  const std::string what = only_slots ? " slots" : " tasks' room";
  std::string text = absl::StrCat("needs ", shape.gang_size * slots, what, " at once, ",
                                  free * slots, free * slots == 1 ? " is free" : " are free");
  if (!ever) absl::StrAppend(&text, ", and all workers that take jobs have too little");
  return text;
}

}  // namespace clusterd
