#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "scheduler/election.h"
#include "store/etcd_client.h"

namespace clusterd {

// The election by a key with a lease in etcd: who has put it leads for as long as the lease lives.
//
// The leader counts its lease from when it asked for the last one that was confirmed, and stops a
// margin before the end, by a clock that goes on while the machine sleeps. Owned by run_scheduler.
// One of the few classes with a mutex (see docs/architecture.md#threads): its thread calls etcd.
class EtcdElection final : public Election {
 public:
  struct Options {
    std::string prefix = "/clusterd/";
    std::chrono::nanoseconds ttl = std::chrono::seconds(5);
    // The key that we hold, told before anybody hears that we lead; nullopt: none any more.
    std::function<void(std::optional<LeaderKey>)> on_key;
  };

  // Both outlive this.
  EtcdElection(EtcdClient& client, const Clock& clock, Options options);
  ~EtcdElection() override;
  EtcdElection(const EtcdElection&) = delete;
  EtcdElection& operator=(const EtcdElection&) = delete;

  void enter(const v1::SchedulerMember& self, OnChange on_change) override;
  [[nodiscard]] BootTime leads_until() const override;
  [[nodiscard]] BootTime heard_until() const override;
  void give_up() override;
  void leave() override;
  void wait_until_left() override;
  [[nodiscard]] std::vector<v1::SchedulerMember> members() const override;

 private:
  void run(const std::stop_token& stop);
  // Campaigns and leads until the lease has ended or is given up.
  void hold(EtcdLease lease, const std::stop_token& stop);
  // One attempt to lead, and what came of it; the revision as of which it is so.
  [[nodiscard]] absl::StatusOr<int64_t> campaign(const EtcdLease& lease,
                                                 const std::stop_token& stop);
  [[nodiscard]] absl::Status put_member(int64_t lease_id, const std::stop_token& stop);
  void look_at_members(const std::stop_token& stop);
  void lead(const EtcdLease& lease, int64_t create_revision);
  void follow(v1::SchedulerMember leader, int64_t create_revision);
  void step_down(const char* why);
  void publish(const Standing& standing);
  // Sleeps until then, or until somebody gives up or leaves.
  void rest(BootTime until, const std::stop_token& stop);
  [[nodiscard]] BootTime end_of(const EtcdLease& lease) const;
  [[nodiscard]] EtcdClient::Limits limits(const std::stop_token& stop) const;

  EtcdClient& client_;
  const Clock& clock_;
  const Options options_;
  const std::string leader_key_;
  const std::string members_;             // the folder of their keys
  std::string value_;                     // what our keys say; constant once the thread runs
  std::string self_address_;              // the same
  OnChange on_change_;                    // the same
  std::atomic<int64_t> leads_until_ = 0;  // of the boot clock
  std::atomic<int64_t> heard_until_ = 0;  // the same
  // Of the thread alone.
  bool leads_ = false;
  int64_t own_revision_ = 0;  // of the key that was last taken for our own
  std::optional<Standing> told_;
  std::string last_error_;

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool gives_up_ = false;                   // guarded by mutex_
  std::vector<v1::SchedulerMember> known_;  // guarded by mutex_
  std::jthread thread_;                     // ends first
};

}  // namespace clusterd
