#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "clusterd/v1/scheduler_service.pb.h"
#include "core/clock.h"

namespace clusterd {

// Where this scheduler stands among those that share its store.
struct Standing {
  enum class Kind {
    kAlone,    // nobody is known to lead
    kFollows,  // another one leads
    kLeads,
  };
  Kind kind = Kind::kAlone;
  v1::SchedulerMember leader;  // of kFollows: where it is reached
  uint64_t epoch = 0;          // of who leads
};

// Seam: which of several schedulers leads. Any thread.
class Election {
 public:
  using OnChange = std::function<void(const Standing&)>;

  virtual ~Election() = default;

  // Enters as `self`; `on_change` is called for each change, on a thread of its own, the first time
  // as soon as it is known who leads or that this cannot be known now. Once.
  virtual void enter(const v1::SchedulerMember& self, OnChange on_change) = 0;
  // Until when this one surely leads; long ago where it does not.
  [[nodiscard]] virtual BootTime leads_until() const = 0;
  // Until when what was told is surely recent: somebody has been heard who knows it.
  [[nodiscard]] virtual BootTime heard_until() const = 0;
  // Lets another one lead, and stays in the election. Returns at once.
  virtual void give_up() = 0;
  // Leaves for good: another one leads at once. Returns at once.
  virtual void leave() = 0;
  // After leave(): waits until nothing is told any more.
  virtual void wait_until_left() = 0;
  // All schedulers that are there, as of a moment ago.
  [[nodiscard]] virtual std::vector<v1::SchedulerMember> members() const = 0;
};

}  // namespace clusterd
