#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "scheduler/scheduler.h"
#include "support/memory_store.h"
#include "support/virtual_time.h"

namespace clusterd {

// One term of office in virtual time, as Term does it with threads: group commits that take a
// while, reads that come back later, effects that wait for their commit.
//
// Owned by a simulation, which performs the effects that leave the scheduler. Whatever is still to
// come when it is destroyed never comes.
class SimulatedTerm {
 public:
  struct Outside {
    std::function<void(Effect effect)> perform;
    std::function<void()> on_failure;  // a commit failed: the term is to be ended
    std::function<void()> on_commit;
  };

  SimulatedTerm(VirtualTime& time, MemoryStore& store, StoreContents contents,
                const SchedulerConfig& config, Outside outside);
  ~SimulatedTerm() { *alive_ = false; }
  SimulatedTerm(const SimulatedTerm&) = delete;
  SimulatedTerm& operator=(const SimulatedTerm&) = delete;

  void begin();
  void apply(Decision decision);
  // Runs `task` unless the term has ended by then.
  void after(std::chrono::nanoseconds delay, VirtualTime::Task task);

  [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
  // Grows with each decision that changed a record; never the same in two terms.
  [[nodiscard]] uint64_t changes() const { return changes_; }
  // All that was decided is durable.
  [[nodiscard]] bool is_settled() const { return batches_.empty() && !committing_; }
  [[nodiscard]] Now now() const { return time_.now(); }

 private:
  void commit();
  void perform(std::vector<Effect> effects);
  void perform(Effect effect);
  void set_alarm();

  VirtualTime& time_;
  MemoryStore& store_;
  Outside outside_;
  Scheduler scheduler_;
  uint64_t changes_;
  uint64_t durable_ = 0;
  bool committing_ = false;
  std::vector<std::pair<uint64_t, StoreBatch>> batches_;
  std::deque<std::pair<uint64_t, std::vector<Effect>>> held_;
  std::optional<BootTime> alarm_;
  // Of this and of what is still to come when this has ended.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace clusterd
