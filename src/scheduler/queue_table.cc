#include "scheduler/queue_table.h"

#include "absl/strings/str_cat.h"

namespace clusterd {

std::string queue_of(const v1::JobSpec& spec) {
  return spec.queue().empty() ? kDefaultQueue : spec.queue();
}

v1::Queue QueueTable::get(const std::string& name) const {
  if (const auto found = queues_.find(name); found != queues_.end()) return found->second;
  v1::Queue queue;
  queue.set_name(name);
  queue.set_weight(1);
  return queue;
}

const v1::Queue* QueueTable::find(const std::string& name) const {
  const auto found = queues_.find(name);
  return found == queues_.end() ? nullptr : &found->second;
}

void QueueTable::set_up(const v1::Queue& queue) {
  const v1::Queue before = get(queue.name());
  v1::Queue& kept = queues_[queue.name()];
  kept = queue;
  if (kept.weight() == 0) kept.set_weight(1);
  kept.set_running(before.running());
  kept.set_running_slots(before.running_slots());
  kept.set_queued(before.queued());
}

void QueueTable::forget(const std::string& name) {
  v1::Queue plain;
  plain.set_name(name);
  set_up(plain);
  tidy(name);
}

v1::Queue& QueueTable::kept(const std::string& name) {
  const auto found = queues_.find(name);
  return found != queues_.end() ? found->second : queues_.emplace(name, get(name)).first->second;
}

void QueueTable::count_running(const std::string& name, int by, uint32_t slots) {
  v1::Queue& queue = kept(name);
  const auto attempts = static_cast<uint64_t>(by);
  queue.set_running(queue.running() + attempts);
  queue.set_running_slots(queue.running_slots() + attempts * slots);
  tidy(name);
}

void QueueTable::count_queued(const std::string& name, int64_t by) {
  if (by == 0) return;
  v1::Queue& queue = kept(name);
  queue.set_queued(queue.queued() + static_cast<uint64_t>(by));
  tidy(name);
}

std::string QueueTable::obstacle(const std::string& name, uint64_t attempts) const {
  const auto found = queues_.find(name);
  if (found == queues_.end()) return "";
  const v1::Queue& queue = found->second;
  if (queue.paused()) {
    return absl::StrCat("queue ", name, " is paused", queue.reason().empty() ? "" : ": ",
                        queue.reason());
  }
  const uint64_t most = queue.max_running();
  if (most == 0 || queue.running() + attempts <= most) return "";
  if (attempts > most) {
    return absl::StrCat("queue ", name, " has a cap of ", most, " at one time, and ", attempts,
                        " must start at once");
  }
  if (attempts > 1) {
    return absl::StrCat("queue ", name, " runs ", queue.running(), ", its cap is ", most, ", and ",
                        attempts, " must start at once");
  }
  return absl::StrCat("queue ", name, " runs its cap of ", most);
}

void QueueTable::tidy(const std::string& name) {
  const auto found = queues_.find(name);
  if (found == queues_.end()) return;
  const v1::Queue& queue = found->second;
  const bool holds = queue.running() > 0 || queue.queued() > 0;
  if (!holds && !queue.has_update_time()) queues_.erase(found);
}

v1::Queue stored(v1::Queue queue) {
  queue.clear_running();
  queue.clear_running_slots();
  queue.clear_queued();
  return queue;
}

}  // namespace clusterd
