#include "scheduler/ready_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/limits_check.h"
#include "core/worker_protocol.h"
#include "scheduler/queue_table.h"

namespace clusterd {
namespace {

// A task of a gang, which is there once it has been placed, is a job alone.
uint32_t gang_size_of(const v1::JobSpec& spec) {
  return spec.has_gang() && spec.has_array() ? spec.gang().size() : 0;
}

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
  key += wants.exclusive() ? 'y' : 'n';
  key += spec.pack() ? 'y' : 'n';
  key += spec.has_gang() ? 'y' : 'n';
  absl::StrAppend(&key, "\n", gang_size_of(spec), "\n");
  for (const auto& [name, count] :
       std::map<std::string, uint32_t>(wants.custom().begin(), wants.custom().end())) {
    absl::StrAppend(&key, name, "=", count, "\n");
  }
  // Each with its length, each list with its count: no two shapes have one key.
  const auto add = [&key](const std::string& text) {
    absl::StrAppend(&key, text.size(), ":", text);
  };
  absl::StrAppend(&key, "\n", spec.prefer_size(), " ");
  for (const v1::Preference& preference : spec.prefer()) {
    absl::StrAppend(&key, preference.weight(), " ");
    add(preference.match());
  }
  absl::StrAppend(&key, "\n", spec.tolerate_size(), " ");
  for (const std::string& taint : spec.tolerate()) add(taint);
  add(spec.handler());
  absl::StrAppend(&key, "\n", spec.require_size(), " ");
  for (const std::string& expression : spec.require()) add(expression);
  for (const std::string& limit : names_of(spec.limits())) add(limit);
  return key;
}

}  // namespace

Shape Shape::of(const v1::JobSpec& spec, const std::string& worker_id) {
  Shape shape{.worker_id = worker_id,
              .resources = spec.resources(),
              .require = {},
              .prefer = {},
              .tolerate = {spec.tolerate().begin(), spec.tolerate().end()},
              .pack = spec.pack(),
              .limits = names_of(spec.limits()),
              .suits_clusterd = can_run(v1::Worker::CLUSTERD, spec),
              .suits_jobscheduler = can_run(v1::Worker::JOBSCHEDULER, spec),
              .suits_go_work = can_run(v1::Worker::GO_WORK, spec),
              .has_payload = !spec.payload().empty(),
              .has_script = spec.has_script(),
              .is_in_gang = spec.has_gang(),
              .gang_size = gang_size_of(spec),
              .handler = spec.handler()};
  for (const std::string& text : spec.require()) {
    auto expression = LabelExpression::parse(text);
    if (expression.ok()) shape.require.push_back(*std::move(expression));
  }
  for (const v1::Preference& preference : spec.prefer()) {
    auto expression = LabelExpression::parse(preference.match());
    if (expression.ok()) shape.prefer.emplace_back(*std::move(expression), preference.weight());
  }
  return shape;
}

void ReadyQueue::insert(const QueueKey& key, const std::string& job_id, const v1::JobSpec& spec,
                        const std::string& worker_id) {
  Queue& queue = queues_[queue_of(spec)];
  std::unique_ptr<Line>& line = queue.lines[shape_key(spec, worker_id)];
  if (line == nullptr) {
    line = std::make_unique<Line>(
        Line{.shape = Shape::of(spec, worker_id), .jobs = {}, .hopeless_in = 0});
  } else {
    queue.heads.erase(line->jobs.begin()->first);
  }
  line->jobs.emplace(key, job_id);
  queue.heads.emplace(line->jobs.begin()->first, line.get());
}

void ReadyQueue::erase(const QueueKey& key, const v1::JobSpec& spec, const std::string& worker_id) {
  const auto queue = queues_.find(queue_of(spec));
  if (queue == queues_.end()) return;
  auto& [lines, heads] = queue->second;
  const auto found = lines.find(shape_key(spec, worker_id));
  if (found == lines.end()) return;
  Line& line = *found->second;
  heads.erase(line.jobs.begin()->first);
  line.jobs.erase(key);
  if (!line.jobs.empty()) {
    heads.emplace(line.jobs.begin()->first, &line);
    return;
  }
  lines.erase(found);
  if (lines.empty()) queues_.erase(queue);
}

std::vector<std::string> ReadyQueue::queues() const {
  std::vector<std::string> names;
  for (const auto& [name, queue] : queues_) names.push_back(name);
  return names;
}

ReadyQueue::Head ReadyQueue::first_at_or_after(const std::string& queue,
                                               const QueueKey& from) const {
  const auto named = queues_.find(queue);
  if (named == queues_.end()) return {};
  const auto found = named->second.heads.lower_bound(from);
  if (found == named->second.heads.end()) return {};
  return {found->first, found->second};
}

uint64_t ReadyQueue::count_before(const std::string& queue, const QueueKey& key,
                                  uint64_t limit) const {
  uint64_t count = 0;
  const auto named = queues_.find(queue);
  if (named == queues_.end()) return count;
  for (const auto& [head, line] : named->second.heads) {
    if (head >= key) break;
    for (const auto& [other, job_id] : line->jobs) {
      if (other >= key || count >= limit) break;
      ++count;
    }
  }
  return count;
}

}  // namespace clusterd
