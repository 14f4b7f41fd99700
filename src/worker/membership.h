#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "clusterd/internal/launcher.pb.h"
#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/worker.pb.h"
#include "core/clock.h"

namespace clusterd {

// Who this worker is, as far as is known.
struct MemberSelf {
  v1::WorkerIdentity identity;  // `worker_id` empty before the first registration
  std::string name;
  // An attempt's key never comes again for another run. Not so where tasks are named by callers,
  // and attempts numbered by this worker.
  bool unique_attempts = true;
};

// Seam: how this worker belongs to a scheduler, by that scheduler's protocol. Core thread only.
class Membership {
 public:
  virtual ~Membership() = default;

  // Begins, or begins anew where the journal of attempts is another one than before. `unenforced`:
  // what of limits this machine cannot enforce.
  virtual void start(const std::string& journal_id,
                     const std::vector<internal::UnenforcedLimit>& unenforced) = 0;
  // Tells the scheduler: events, or output that was deleted. What is not delivered is in the next
  // inventory.
  virtual void send(v1::SessionRequest news) = 0;
  // To be called once a turn; returns when it wants to be called again.
  [[nodiscard]] virtual std::optional<BootTime> on_turn() = 0;
  // Tells the scheduler that this worker goes. `done` follows within seconds. From now on nothing
  // is begun anew.
  virtual void deregister(bool leaving, absl::AnyInvocable<void()> done) = 0;
  // Ends it. `done` follows when no call is under way any more.
  virtual void stop(absl::AnyInvocable<void()> done) = 0;
  [[nodiscard]] virtual MemberSelf self() const = 0;
};

}  // namespace clusterd
