#include "scheduler/etcd_election.h"

#include <google/protobuf/util/json_util.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/log.h"

namespace clusterd {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr int kKeepAlivesInLease = 4;
constexpr int kMarginPart = 10;  // of the lease
constexpr nanoseconds kLeastMargin = milliseconds(200);
constexpr milliseconds kRetry(200);
constexpr nanoseconds kRevokeTimeout = std::chrono::seconds(1);
constexpr int64_t kMostMembers = 100;

// JSON, so that people can read it with etcdctl.
std::string to_value(const v1::SchedulerMember& member) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(member, &text, options);
  return text;
}

// A value that is not ours to understand names no address.
v1::SchedulerMember from_value(const std::string& value) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  v1::SchedulerMember member;
  if (!google::protobuf::util::JsonStringToMessage(value, &member, options).ok()) member.Clear();
  return member;
}

bool is_same(const Standing& one, const Standing& other) {
  return one.kind == other.kind && one.epoch == other.epoch &&
         one.leader.address() == other.leader.address();
}

}  // namespace

EtcdElection::EtcdElection(EtcdClient& client, const Clock& clock, Options options)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      leader_key_(options_.prefix + "election/leader"),
      members_(options_.prefix + "election/members/") {}

EtcdElection::~EtcdElection() {
  leave();
  wait_until_left();
}

void EtcdElection::enter(const v1::SchedulerMember& self, OnChange on_change) {
  value_ = to_value(self);
  self_address_ = self.address();
  on_change_ = std::move(on_change);
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  pthread_setname_np(thread_.native_handle(), "election");
}

BootTime EtcdElection::leads_until() const {
  return BootTime(nanoseconds(leads_until_.load(std::memory_order_acquire)));
}

BootTime EtcdElection::heard_until() const {
  return BootTime(nanoseconds(heard_until_.load(std::memory_order_acquire)));
}

void EtcdElection::give_up() {
  {
    const std::lock_guard lock(mutex_);
    gives_up_ = true;
  }
  wake_.notify_all();
}

void EtcdElection::leave() { thread_.request_stop(); }

void EtcdElection::wait_until_left() {
  if (thread_.joinable()) thread_.join();
}

std::vector<v1::SchedulerMember> EtcdElection::members() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

EtcdClient::Limits EtcdElection::limits(const std::stop_token& stop) const {
  return {.timeout = options_.ttl / 2, .stop = stop};
}

BootTime EtcdElection::end_of(const EtcdLease& lease) const {
  return lease.asked_at + lease.ttl - std::max(kLeastMargin, options_.ttl / kMarginPart);
}

void EtcdElection::rest(BootTime until, const std::stop_token& stop) {
  const nanoseconds left = until - clock_.now().boot;
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, std::max(left, nanoseconds(0)), [this] { return gives_up_; });
}

void EtcdElection::publish(const Standing& standing) {
  if (told_ && is_same(*told_, standing)) return;
  told_ = standing;
  on_change_(standing);
}

void EtcdElection::lead(const EtcdLease& lease, int64_t create_revision) {
  if (leads_) return;
  leads_ = true;
  leads_until_.store(end_of(lease).time_since_epoch().count(), std::memory_order_release);
  log_info("scheduler", "this scheduler leads",
           {{"key", leader_key_}, {"revision", create_revision}});
  options_.on_key(LeaderKey{.key = leader_key_, .create_revision = create_revision});
  publish({.kind = Standing::Kind::kLeads,
           .leader = from_value(value_),
           .epoch = static_cast<uint64_t>(create_revision)});
}

void EtcdElection::step_down(const char* why) {
  if (!leads_) return;
  leads_ = false;
  leads_until_.store(0, std::memory_order_release);
  log_warning("scheduler", "this scheduler leads no more", {{"reason", why}});
  options_.on_key(std::nullopt);
  publish({.kind = Standing::Kind::kAlone});
}

void EtcdElection::follow(v1::SchedulerMember leader, int64_t create_revision) {
  step_down("another one leads");
  // Ourselves, before a restart: that key ends with its lease.
  if (leader.address() == self_address_) {
    if (std::exchange(own_revision_, create_revision) != create_revision) {
      log_warning("scheduler",
                  "the scheduler that leads has this one's address: it is of the last run, whose "
                  "lease ends soon, or another one that needs an advertise_addr of its own",
                  {{"address", self_address_}});
    }
    return publish({.kind = Standing::Kind::kAlone});
  }
  if (!told_ || told_->kind != Standing::Kind::kFollows ||
      told_->leader.address() != leader.address()) {
    log_info("scheduler", "another scheduler leads", {{"leader", leader.address()}});
  }
  publish({.kind = Standing::Kind::kFollows,
           .leader = std::move(leader),
           .epoch = static_cast<uint64_t>(create_revision)});
}

void EtcdElection::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto lease = client_.grant(options_.ttl, limits(stop));
    const absl::Status status =
        lease.ok() ? put_member(lease->id, stop) : absl::Status(lease.status());
    if (status.ok()) {
      last_error_.clear();
      hold(*lease, stop);
      step_down(stop.stop_requested() ? "it is stopping" : "its lease has ended or was given up");
    } else if (!stop.stop_requested()) {
      if (last_error_.empty()) {
        log_error("scheduler", "etcd cannot be reached: no election", {{"error", status}});
      }
      last_error_ = std::string(status.message());
      // Whoever is known to lead may still do so; it knows itself when that ends.
      if (!told_) publish({.kind = Standing::Kind::kAlone});
    }
    if (lease.ok()) (void)client_.revoke(lease->id, {.timeout = kRevokeTimeout});
    {
      const std::lock_guard lock(mutex_);
      gives_up_ = false;
    }
    rest(clock_.now().boot + kRetry, stop);
  }
}

void EtcdElection::hold(EtcdLease lease, const std::stop_token& stop) {
  const nanoseconds every = options_.ttl / kKeepAlivesInLease;
  heard_until_.store((lease.asked_at + lease.ttl).time_since_epoch().count(),
                     std::memory_order_release);
  BootTime next = clock_.now().boot + every;
  while (!stop.stop_requested()) {
    {
      const std::lock_guard lock(mutex_);
      if (gives_up_) return;
    }
    // Before a keep-alive hides it: the app has ended its term by then, and a term has one key.
    if (leads_ && clock_.now().boot >= end_of(lease)) return step_down("its lease may have ended");
    if (clock_.now().boot >= next) {
      const auto kept = client_.keep_alive(lease.id, limits(stop));
      if (kept.ok()) {
        lease = *kept;
        heard_until_.store((lease.asked_at + lease.ttl).time_since_epoch().count(),
                           std::memory_order_release);
      }
      if (absl::IsNotFound(kept.status())) return;
      next = kept.ok() ? lease.asked_at + every : clock_.now().boot + kRetry;
      if (leads_ && kept.ok()) {
        leads_until_.store(end_of(lease).time_since_epoch().count(), std::memory_order_release);
      }
      look_at_members(stop);
    }
    if (leads_ && clock_.now().boot >= end_of(lease)) return step_down("its lease may have ended");
    if (leads_) {
      rest(std::min(next, end_of(lease)), stop);
      continue;
    }
    const auto revision = campaign(lease, stop);
    if (!revision.ok()) {
      rest(std::min(next, clock_.now().boot + kRetry), stop);
    } else if (!leads_) {
      const nanoseconds left = next - clock_.now().boot;
      if (left <= nanoseconds(0)) continue;
      const auto change =
          client_.wait_for_change(leader_key_, *revision + 1, {.timeout = left, .stop = stop});
      const bool is_answer = change.ok() || absl::IsDeadlineExceeded(change.status());
      if (!is_answer) rest(std::min(next, clock_.now().boot + kRetry), stop);
    } else {
      look_at_members(stop);
    }
  }
}

absl::StatusOr<int64_t> EtcdElection::campaign(const EtcdLease& lease,
                                               const std::stop_token& stop) {
  etcdserverpb::TxnRequest request;
  etcdserverpb::Compare& is_free = *request.add_compare();
  is_free.set_key(leader_key_);
  is_free.set_target(etcdserverpb::Compare::CREATE);
  is_free.set_result(etcdserverpb::Compare::EQUAL);
  is_free.set_create_revision(0);
  etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(leader_key_);
  put.set_value(value_);
  put.set_lease(lease.id);
  request.add_failure()->mutable_request_range()->set_key(leader_key_);
  const auto answer = client_.txn(request, limits(stop));
  if (!answer.ok()) return answer.status();
  const int64_t revision = answer->header().revision();
  if (answer->succeeded()) {
    lead(lease, revision);
    return revision;
  }
  const auto& kvs = answer->responses(0).response_range().kvs();
  if (kvs.empty()) return absl::UnavailableError("the key has gone in between");
  // A transaction of which no answer came may have been done.
  if (kvs[0].lease() == lease.id) {
    if (clock_.now().boot < end_of(lease)) lead(lease, kvs[0].create_revision());
  } else {
    follow(from_value(kvs[0].value()), kvs[0].create_revision());
  }
  return revision;
}

absl::Status EtcdElection::put_member(int64_t lease_id, const std::stop_token& stop) {
  etcdserverpb::TxnRequest request;
  etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(members_ + absl::StrFormat("%016x", lease_id));
  put.set_value(value_);
  put.set_lease(lease_id);
  return client_.txn(request, limits(stop)).status();
}

void EtcdElection::look_at_members(const std::stop_token& stop) {
  etcdserverpb::RangeRequest request;
  request.set_key(members_);
  request.set_range_end(end_of_prefix(members_));
  request.set_limit(kMostMembers);
  // What any member of etcd has will do.
  request.set_serializable(true);
  const auto answer = client_.range(request, limits(stop));
  if (!answer.ok()) return;
  std::vector<v1::SchedulerMember> members;
  for (const mvccpb::KeyValue& kv : answer->kvs()) {
    members.push_back(from_value(kv.value()));
    members.back().set_leader(told_ && members.back().address() == told_->leader.address());
  }
  std::sort(members.begin(), members.end(),
            [](const auto& one, const auto& other) { return one.address() < other.address(); });
  // One that was started again is there twice for as long as its earlier lease lives.
  members.erase(std::unique(members.begin(), members.end(),
                            [](const auto& one, const auto& other) {
                              return one.address() == other.address();
                            }),
                members.end());
  const std::lock_guard lock(mutex_);
  known_ = std::move(members);
}

}  // namespace clusterd
