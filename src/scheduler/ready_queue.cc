#include "scheduler/ready_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/limits_check.h"
#include "core/worker_protocol.h"

namespace clusterd {
namespace {

// The same for two jobs exactly if they ask the same of a worker.
std::string shape_key(const v1::JobSpec& spec, const std::string& worker_id) {
  const v1::Resources& wants = spec.resources();
  std::string key = absl::StrCat(worker_id, "\n", std::max(1U, wants.slots()), "\n");
  const double cpus = wants.cpus();
  key.append(reinterpret_cast<const char*>(&cpus), sizeof(cpus));
  absl::StrAppend(&key, "\n", wants.memory_bytes(), "\n");
  for (const auto protocol :
       {v1::Worker::CLUSTERD, v1::Worker::JOBSCHEDULER, v1::Worker::GO_WORK}) {
    key += can_run(protocol, spec) ? 'y' : 'n';
  }
  key += spec.payload().empty() ? 'n' : 'y';
  key += spec.has_script() ? 'y' : 'n';
  absl::StrAppend(&key, "\n", spec.handler().size(), ":", spec.handler());
  for (const std::string& expression : spec.require()) absl::StrAppend(&key, "\n", expression);
  for (const std::string& limit : names_of(spec.limits())) absl::StrAppend(&key, "\n\n", limit);
  return key;
}

}  // namespace

Shape Shape::of(const v1::JobSpec& spec, const std::string& worker_id) {
  Shape shape{.worker_id = worker_id,
              .resources = spec.resources(),
              .require = {},
              .limits = names_of(spec.limits()),
              .suits_clusterd = can_run(v1::Worker::CLUSTERD, spec),
              .suits_jobscheduler = can_run(v1::Worker::JOBSCHEDULER, spec),
              .suits_go_work = can_run(v1::Worker::GO_WORK, spec),
              .has_payload = !spec.payload().empty(),
              .has_script = spec.has_script(),
              .handler = spec.handler()};
  for (const std::string& text : spec.require()) {
    auto expression = LabelExpression::parse(text);
    if (expression.ok()) shape.require.push_back(*std::move(expression));
  }
  return shape;
}

void ReadyQueue::insert(const QueueKey& key, const std::string& job_id, const v1::JobSpec& spec,
                        const std::string& worker_id) {
  std::unique_ptr<Line>& line = lines_[shape_key(spec, worker_id)];
  if (line == nullptr) {
    line = std::make_unique<Line>(Line{.shape = Shape::of(spec, worker_id), .jobs = {}});
  } else {
    heads_.erase(line->jobs.begin()->first);
  }
  line->jobs.emplace(key, job_id);
  heads_.emplace(line->jobs.begin()->first, line.get());
}

void ReadyQueue::erase(const QueueKey& key, const v1::JobSpec& spec, const std::string& worker_id) {
  const auto found = lines_.find(shape_key(spec, worker_id));
  if (found == lines_.end()) return;
  Line& line = *found->second;
  heads_.erase(line.jobs.begin()->first);
  line.jobs.erase(key);
  if (line.jobs.empty()) {
    lines_.erase(found);
  } else {
    heads_.emplace(line.jobs.begin()->first, &line);
  }
}

ReadyQueue::Head ReadyQueue::first_at_or_after(const QueueKey& from) const {
  const auto found = heads_.lower_bound(from);
  if (found == heads_.end()) return {};
  return {found->first, found->second};
}

uint64_t ReadyQueue::count_before(const QueueKey& key, uint64_t limit) const {
  uint64_t count = 0;
  for (const auto& [head, line] : heads_) {
    if (head >= key) break;
    for (const auto& [other, job_id] : line->jobs) {
      if (other >= key || count >= limit) break;
      ++count;
    }
  }
  return count;
}

}  // namespace clusterd
