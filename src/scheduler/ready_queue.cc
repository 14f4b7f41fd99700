#include "scheduler/ready_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

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
  const SuitableProtocols suitable = suitable_protocols(spec);
  key += suitable.clusterd ? 'y' : 'n';
  key += suitable.jobscheduler ? 'y' : 'n';
  key += suitable.go_work ? 'y' : 'n';
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
  if (!spec.has_limits()) return key;
  for (const std::string& limit : names_of(spec.limits())) add(limit);
  return key;
}

}  // namespace

Shape Shape::of(const v1::JobSpec& spec, const std::string& worker_id) {
  const SuitableProtocols suitable = suitable_protocols(spec);
  Shape shape{.worker_id = worker_id,
              .resources = spec.resources(),
              .require = {},
              .prefer = {},
              .tolerate = {spec.tolerate().begin(), spec.tolerate().end()},
              .pack = spec.pack(),
              .limits = names_of(spec.limits()),
              .suits_clusterd = suitable.clusterd,
              .suits_jobscheduler = suitable.jobscheduler,
              .suits_go_work = suitable.go_work,
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

ReadyQueue::Line& ReadyQueue::insert(const QueueKey& key, LiveJob& job, const v1::JobSpec& spec,
                                     const std::string& worker_id) {
  const std::string name = queue_of(spec);
  auto& [lines, heads] = queues_[name];
  std::string shape = shape_key(spec, worker_id);
  Line& line = lines[shape];
  if (line.jobs.empty()) {
    line.shape = Shape::of(spec, worker_id);
    line.queue = name;
    line.shape_key = std::move(shape);
  }
  const auto place = line.jobs.emplace(key, &job).first;
  if (place != line.jobs.begin()) return line;
  if (const auto second = std::next(place); second != line.jobs.end()) heads.erase(second->first);
  heads.emplace(key, &line);
  return line;
}

void ReadyQueue::erase(const Line& line, const QueueKey& key, LiveJob& job) {
  const auto queue = queues_.find(line.queue);
  auto& [lines, heads] = queue->second;
  const auto found = lines.find(line.shape_key);
  auto& jobs = found->second.jobs;
  const auto place = jobs.find({key, &job});
  const bool was_first = place == jobs.begin();
  jobs.erase(place);
  if (!was_first) return;
  heads.erase(key);
  if (!jobs.empty()) {
    heads.emplace(jobs.begin()->first, &line);
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
    for (const auto& [other, job] : line->jobs) {
      if (other >= key || count >= limit) break;
      ++count;
    }
  }
  return count;
}

}  // namespace clusterd
