#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "clusterd/v1/worker_service.pb.h"
#include "core/clock.h"
#include "core/event_loop.h"
#include "worker/session_client.h"

namespace clusterd::bench {

// What all members together have seen; since the start where not said otherwise.
struct FleetTotals {
  uint64_t sessions = 0;  // open now
  uint64_t members = 0;   // of them, called back by the scheduler
  uint64_t running = 0;   // attempts, now
  uint64_t started = 0;
  uint64_t ended = 0;
  uint64_t acknowledged = 0;  // ends
  uint64_t refused = 0;       // orders of another session
  uint64_t sessions_lost = 0;
};

// A worker without processes: a member of a scheduler as a real one is, by the same SessionClient,
// whose attempts are entries of a table. It remembers nothing beyond this process, and not what
// was acknowledged.
//
// Owned by SimulatedFleet; core thread only.
class SimulatedMember {
 public:
  template <typename T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;

  struct Observer {
    std::function<void()> on_member;  // each time the scheduler has called back
    // An attempt began that ends by end(); without it attempts end as soon as they have begun.
    std::function<void(const v1::AttemptKey&)> on_started;
  };

  // All references outlive this.
  SimulatedMember(SessionOptions options, EventLoop& core, EventLoop& files, const Clock& clock,
                  FleetTotals& totals, Observer observer);

  void join();
  // To be called from time to time, for heartbeats and what was not answered.
  void on_turn();
  // Leaves the cluster; `done` is the last thing that happens.
  void leave(absl::AnyInvocable<void()> done);

  // What the scheduler calls, as in docs/worker-protocol.md.
  [[nodiscard]] v1::WorkerIdentity identify();
  void start_jobs(v1::StartJobsRequest request, Done<v1::StartJobsResponse> done);
  void stop_jobs(v1::StopJobsRequest request, Done<v1::StopJobsResponse> done);

  // What it runs has ended with 0; nothing if it had ended before.
  void end(const v1::AttemptKey& key);

 private:
  using AttemptId = std::pair<std::string, uint32_t>;  // job, attempt
  enum class Phase { kIdle, kOpening, kOpen };

  [[nodiscard]] SessionOwner session_owner();
  void on_opened(uint64_t epoch, uint64_t session);
  void on_closed();
  void on_message(const v1::SessionResponse& message);
  [[nodiscard]] std::vector<v1::HeldAttempt> inventory() const;
  // Does `order` in the session that it is for; FAILED_PRECONDITION if that is another one.
  template <typename Request, typename Response>
  void obey(Request request, Done<Response> done,
            Response (SimulatedMember::*order)(const Request&));
  [[nodiscard]] v1::StartJobsResponse begin_all(const v1::StartJobsRequest& request);
  [[nodiscard]] v1::StopJobsResponse stop_all(const v1::StopJobsRequest& request);
  void begin(const v1::AttemptKey& key, v1::JobEvents& events);
  void finish(v1::HeldAttempt& held, v1::JobEnd::Reason reason, v1::JobEvents& events);
  void forget(const v1::AttemptKey& key, bool acknowledged);
  void tell(v1::JobEvents events);

  const Clock& clock_;
  FleetTotals& totals_;
  const Observer observer_;
  SessionClient client_;
  Phase phase_ = Phase::kIdle;
  bool called_back_ = false;
  uint64_t epoch_ = 0;
  uint64_t session_ = 0;
  std::map<AttemptId, v1::HeldAttempt> attempts_;
  std::vector<absl::AnyInvocable<void()>> parked_;  // orders that overtook the welcome
};

}  // namespace clusterd::bench
