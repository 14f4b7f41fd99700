#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "scheduler/queue_table.h"
#include "scheduler/ready_queue.h"

namespace clusterd {

// In which order one round of placement looks at the heads of lines: first those of the queue whose
// attempts take the least slots for its weight, of these by priority and acceptance. Queues that
// are paused or run their cap have no turn.
//
// A value for one round; both references outlive it. What starts meanwhile changes them, and
// next() goes by it.
class PlacementTurns {
 public:
  PlacementTurns(const ReadyQueue& ready, const QueueTable& queues);

  // The head whose turn it is, null where there is none any more; it has the next turn too unless
  // it started or was passed.
  [[nodiscard]] ReadyQueue::Head next();
  // It does not fit: on to what comes behind it in its queue. Below the queue's cap there stays
  // room for it, so that what comes behind it does not take that time and again; not for one that
  // is `hopeless`, which no worker could ever run.
  void pass(const ReadyQueue::Head& head, bool hopeless);
  // It has started: its queue's share has changed.
  void started();

 private:
  struct Turn {
    uint64_t slots = 0;
    uint32_t weight = 1;
    ReadyQueue::Head head;
    std::string queue;

    bool operator<(const Turn& other) const;
  };

  void add(const std::string& queue, const QueueKey& from);

  const ReadyQueue& ready_;
  const QueueTable& queues_;
  std::set<Turn> turns_;
  std::map<std::string, uint64_t> kept_;  // by queue: attempts of what was passed
};

}  // namespace clusterd
