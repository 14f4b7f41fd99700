#include "scheduler/placement_turns.h"

#include <algorithm>
#include <limits>

namespace clusterd {
namespace {

constexpr QueueKey kFirst{.descending_priority = std::numeric_limits<int32_t>::min()};

uint64_t attempts_of(const ReadyQueue::Head& head) {
  return std::max(1U, head.line->shape.gang_size);
}

}  // namespace

bool PlacementTurns::Turn::operator<(const Turn& other) const {
  const uint64_t mine = slots * other.weight;
  const uint64_t theirs = other.slots * weight;
  if (mine != theirs) return mine < theirs;
  if (head.key != other.head.key) return head.key < other.head.key;
  return queue < other.queue;
}

PlacementTurns::PlacementTurns(const ReadyQueue& ready, const QueueTable& queues)
    : ready_(ready), queues_(queues) {
  for (const std::string& queue : ready.queues()) add(queue, kFirst);
}

void PlacementTurns::add(const std::string& queue, const QueueKey& from) {
  const v1::Queue* known = queues_.find(queue);
  const v1::Queue& state = known == nullptr ? v1::Queue::default_instance() : *known;
  if (state.paused()) return;
  const auto passed = kept_.find(queue);
  const uint64_t kept = passed == kept_.end() ? 0 : passed->second;
  for (QueueKey at = from;;) {
    const ReadyQueue::Head head = ready_.first_at_or_after(queue, at);
    if (head.line == nullptr) return;
    const uint64_t attempts = attempts_of(head);
    const uint64_t most = state.max_running();
    if (most == 0 || state.running() + kept + attempts <= most) {
      turns_.insert({.slots = state.running_slots(),
                     .weight = std::max(1U, state.weight()),
                     .head = head,
                     .queue = queue});
      return;
    }
    // What waits for the cap at the head holds its queue; what can never start under it holds
    // nobody.
    if (attempts <= most) return;
    at = head.key;
    ++at.position;
  }
}

ReadyQueue::Head PlacementTurns::next() {
  return turns_.empty() ? ReadyQueue::Head{} : turns_.begin()->head;
}

void PlacementTurns::pass(const ReadyQueue::Head& head, bool hopeless) {
  const std::string queue = turns_.begin()->queue;
  turns_.erase(turns_.begin());
  if (!hopeless) kept_[queue] += attempts_of(head);
  QueueKey from = head.key;
  ++from.position;
  add(queue, from);
}

void PlacementTurns::started() {
  const std::string queue = turns_.begin()->queue;
  const QueueKey from = turns_.begin()->head.key;
  turns_.erase(turns_.begin());
  add(queue, from);
}

}  // namespace clusterd
