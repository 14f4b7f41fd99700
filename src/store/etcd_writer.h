#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "store/etcd_changes.h"
#include "store/etcd_client.h"
#include "store/etcd_keys.h"

namespace clusterd {

// The one who changes the store while its leader key lives.
//
// Each transaction asks that the leader key is still ours and that the commit counter is what the
// last one left, and raises it. So a transaction of which nobody knows whether it was done is sent
// again: it is done once at most, and where the counter has its value already it was done before.
// One is under way at a time. What does not fit into one is staged: its parts are written beside
// the records, then one transaction says that they are whole, then they are carried out; a new term
// carries out what is whole and drops what is not.
//
// Owned by EtcdStore; one thread at a time.
class EtcdWriter {
 public:
  struct Options {
    std::chrono::nanoseconds patience;  // with a transaction that nobody answers
    // Etcd says that it has no space. Blocks for a while; whether to try again.
    std::function<bool()> wait_for_space;
  };

  // `client`, `keys` and `clock` outlive this.
  EtcdWriter(EtcdClient& client, const EtcdKeys& keys, const Clock& clock, Options options);

  // From here on nothing of an earlier term is done any more. FAILED_PRECONDITION: that leader key
  // is gone. UNAVAILABLE: etcd does not answer.
  [[nodiscard]] absl::Status begin(const LeaderKey& leader);
  // Whole or not at all. FAILED_PRECONDITION: we are not the leader any more, nothing was written.
  // UNAVAILABLE: nobody knows whether it was. RESOURCE_EXHAUSTED: etcd has no space; it may have
  // been written all the same.
  // INVALID_ARGUMENT: a record is larger than etcd takes.
  [[nodiscard]] absl::Status write(EtcdChanges changes);

  // Of the last begin().
  [[nodiscard]] const LeaderKey& leader() const { return leader_; }
  // The revision of the last transaction.
  [[nodiscard]] int64_t revision() const { return revision_; }

 private:
  using Operations = std::vector<etcdserverpb::RequestOp>;

  [[nodiscard]] absl::Status transact(Operations operations);
  [[nodiscard]] absl::Status settle(const etcdserverpb::TxnResponse& answer, bool was_sent_before);
  [[nodiscard]] etcdserverpb::TxnRequest request_of(Operations operations) const;
  [[nodiscard]] absl::Status write_staged(std::vector<Operations> parts);
  [[nodiscard]] absl::Status carry_out(std::vector<Operations> parts);
  [[nodiscard]] absl::Status recover();

  EtcdClient& client_;
  const EtcdKeys& keys_;
  const Clock& clock_;
  const Options options_;
  LeaderKey leader_;
  uint64_t counter_ = 0;  // as of the last transaction
  int64_t revision_ = 0;
};

}  // namespace clusterd
