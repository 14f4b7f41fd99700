#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/config.h"
#include "etcd/rpc.pb.h"

namespace clusterd {

// The key that the leader holds for as long as its lease lives. Its create revision is never that
// of another leader.
struct LeaderKey {
  std::string key;
  int64_t create_revision = 0;
};

struct EtcdLease {
  int64_t id = 0;
  std::chrono::seconds ttl{0};
  BootTime asked_at;  // etcd ends it at asked_at + ttl at the earliest
};

// One change of a watched key.
struct EtcdChange {
  bool is_deleted = false;
  std::string value;  // the new one
  int64_t create_revision = 0;
  int64_t mod_revision = 0;  // watch from the next one on
};

// Calls etcd: its members in turn, over TLS and as a user where that is configured. Every call
// blocks until it is answered or its time is over, and is bounded.
//
// Owned by whoever made it; any thread, several at one time. What only reads, and what may be done
// twice, goes on to the next member where one does not answer; a transaction is sent once.
class EtcdClient {
 public:
  // Of one call, all its attempts included. `stop` ends it early: CANCELLED.
  struct Limits {
    std::chrono::nanoseconds timeout = std::chrono::seconds(5);
    std::stop_token stop = {};
  };

  // INVALID_ARGUMENT names the key of [store] whose file cannot be read. Connects with the first
  // call. `clock` outlives this.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<EtcdClient>> make(
      const SchedulerConfig::Store& settings, const Clock& clock);
  ~EtcdClient();
  EtcdClient(const EtcdClient&) = delete;
  EtcdClient& operator=(const EtcdClient&) = delete;

  // Linearizable unless the request says otherwise. Errors of all: UNAVAILABLE, DEADLINE_EXCEEDED:
  // no member answered; PERMISSION_DENIED, UNAUTHENTICATED: the user may not; else etcd's own.
  [[nodiscard]] absl::StatusOr<etcdserverpb::RangeResponse> range(
      const etcdserverpb::RangeRequest& request, const Limits& limits);
  // The same for one key; NOT_FOUND: there is none.
  [[nodiscard]] absl::StatusOr<mvccpb::KeyValue> get(const std::string& key, const Limits& limits);
  // A transaction that only reads.
  [[nodiscard]] absl::StatusOr<etcdserverpb::TxnResponse> read(
      const etcdserverpb::TxnRequest& request, const Limits& limits);
  // Sent once. UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, UNKNOWN: it may be done, now or later
  // (is_ambiguous); the next call goes to another member. RESOURCE_EXHAUSTED: etcd has no space.
  [[nodiscard]] absl::StatusOr<etcdserverpb::TxnResponse> txn(
      const etcdserverpb::TxnRequest& request, const Limits& limits);

  // `ttl` in whole seconds, rounded up.
  [[nodiscard]] absl::StatusOr<EtcdLease> grant(std::chrono::nanoseconds ttl, const Limits& limits);
  // NOT_FOUND: it has ended.
  [[nodiscard]] absl::StatusOr<EtcdLease> keep_alive(int64_t lease_id, const Limits& limits);
  // Its keys go with it. OK too where it had ended.
  [[nodiscard]] absl::Status revoke(int64_t lease_id, const Limits& limits);

  // The first change of the key at `from_revision` or later. DEADLINE_EXCEEDED: none so far.
  // OUT_OF_RANGE: that revision is compacted; read the key again.
  [[nodiscard]] absl::StatusOr<EtcdChange> wait_for_change(const std::string& key,
                                                           int64_t from_revision,
                                                           const Limits& limits);

  // Of the member that answers: sizes, alarms.
  [[nodiscard]] absl::StatusOr<etcdserverpb::StatusResponse> status(const Limits& limits);
  // What was before `revision` is forgotten. OK too where it was.
  [[nodiscard]] absl::Status compact(int64_t revision, const Limits& limits);

  // Reads that name no `stop` of their own are CANCELLED, now and from now on.
  void end_reads() { reads_.request_stop(); }
  [[nodiscard]] bool reads_have_ended() const { return reads_.stop_requested(); }

  // Returns when the member whose turn it is can be called, or the time is over.
  void wait_for_connection(std::chrono::nanoseconds timeout);

 private:
  struct Member;

  EtcdClient(const Clock& clock, std::vector<Member> members, std::string user,
             std::string password_file);

  enum class Repeat { kNever, kElsewhere, kWaits };  // kWaits: its time may pass without an answer
  using Send = absl::FunctionRef<grpc::Status(Member&, grpc::ClientContext&)>;
  // Makes the call with the token of our user, which is got anew where it is no longer good.
  absl::Status call(const Limits& limits, Repeat repeat, Send send);
  absl::Status connect(Member& member, std::chrono::nanoseconds timeout,
                       const std::stop_token& stop);
  absl::Status call_once(Member& member, std::chrono::nanoseconds timeout,
                         const std::stop_token& stop, Send send);
  absl::StatusOr<std::string> authenticate(Member& member, std::chrono::nanoseconds timeout);
  [[nodiscard]] Limits of_read(Limits limits) const;
  size_t current() const;
  void leave(size_t member);

  const Clock& clock_;
  std::vector<Member> members_;
  const std::string user_;
  const std::string password_file_;
  std::stop_source reads_;
  mutable std::mutex mutex_;
  size_t current_ = 0;  // guarded by mutex_
  std::string token_;   // guarded by mutex_
};

// The call may have been done although it failed, or may yet be.
[[nodiscard]] bool is_ambiguous(const absl::Status& status);

// It was not done: etcd's quota is used up, or it has more requests than it can take now.
[[nodiscard]] bool is_no_space(const absl::Status& status);
[[nodiscard]] bool is_too_busy(const absl::Status& status);

// The least key that is above all that begin with `prefix`.
[[nodiscard]] std::string end_of_prefix(std::string prefix);

}  // namespace clusterd
