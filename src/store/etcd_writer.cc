#include "store/etcd_writer.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "clusterd/internal/etcd_records.pb.h"
#include "store/etcd_pages.h"

namespace clusterd {
namespace {

using std::chrono::nanoseconds;

// A member that does not answer for so long is left for another one: sent twice, it is done once.
constexpr nanoseconds kOneAttempt = std::chrono::milliseconds(700);
constexpr nanoseconds kForConnection = std::chrono::milliseconds(500);
constexpr nanoseconds kBetweenAttempts = std::chrono::milliseconds(50);

etcdserverpb::RequestOp put_of(std::string key, std::string value) {
  etcdserverpb::RequestOp operation;
  operation.mutable_request_put()->set_key(std::move(key));
  operation.mutable_request_put()->set_value(std::move(value));
  return operation;
}

etcdserverpb::RequestOp erase_of(const std::string& prefix) {
  etcdserverpb::RequestOp operation;
  operation.mutable_request_delete_range()->set_key(prefix);
  operation.mutable_request_delete_range()->set_range_end(end_of_prefix(prefix));
  return operation;
}

// The value of the key that the n-th operation of a transaction has read.
const mvccpb::KeyValue* read_by(const etcdserverpb::TxnResponse& answer, int n) {
  if (n >= answer.responses_size()) return nullptr;
  const auto& kvs = answer.responses(n).response_range().kvs();
  return kvs.empty() ? nullptr : &kvs[0];
}

}  // namespace

EtcdWriter::EtcdWriter(EtcdClient& client, const EtcdKeys& keys, const Clock& clock,
                       Options options)
    : client_(client), keys_(keys), clock_(clock), options_(std::move(options)) {}

absl::Status EtcdWriter::begin(const LeaderKey& leader) {
  leader_ = leader;
  counter_ = 0;
  const auto counter = client_.get(keys_.counter(), {.timeout = options_.patience});
  if (!counter.ok() && !absl::IsNotFound(counter.status())) return counter.status();
  if (counter.ok() && !absl::SimpleAtoi(counter->value(), &counter_)) {
    return absl::DataLossError(absl::StrCat("etcd's key ", keys_.counter(), " is no number"));
  }
  // A transaction that was sent earlier fails from here on: it asks for the value of before.
  if (auto status = transact({}); !status.ok()) return status;
  return recover();
}

etcdserverpb::TxnRequest EtcdWriter::request_of(Operations operations) const {
  etcdserverpb::TxnRequest request;
  auto& is_leader = *request.add_compare();
  is_leader.set_key(leader_.key);
  is_leader.set_target(etcdserverpb::Compare::CREATE);
  is_leader.set_create_revision(leader_.create_revision);
  auto& is_next = *request.add_compare();
  is_next.set_key(keys_.counter());
  if (counter_ == 0) {
    is_next.set_target(etcdserverpb::Compare::VERSION);  // 0: there is none
    is_next.set_version(0);
  } else {
    is_next.set_target(etcdserverpb::Compare::VALUE);
    is_next.set_value(absl::StrCat(counter_));
  }
  for (etcdserverpb::RequestOp& operation : operations) {
    *request.add_success() = std::move(operation);
  }
  *request.add_success() = put_of(keys_.counter(), absl::StrCat(counter_ + 1));
  request.add_failure()->mutable_request_range()->set_key(leader_.key);
  request.add_failure()->mutable_request_range()->set_key(keys_.counter());
  return request;
}

absl::Status EtcdWriter::transact(Operations operations) {
  const etcdserverpb::TxnRequest request = request_of(std::move(operations));
  BootTime deadline = clock_.now().boot + options_.patience;
  bool was_sent_before = false;
  while (true) {
    const nanoseconds left = deadline - clock_.now().boot;
    const auto answer = client_.txn(request, {.timeout = std::min(kOneAttempt, left)});
    if (answer.ok()) return settle(*answer, was_sent_before);
    // Where the space ends between the check and the write, etcd says so of what it has written.
    was_sent_before = true;
    if (is_no_space(answer.status()) && options_.wait_for_space()) {
      deadline = clock_.now().boot + options_.patience;
      continue;
    }
    if (!is_ambiguous(answer.status()) && !is_too_busy(answer.status())) return answer.status();
    if (deadline - clock_.now().boot <= kBetweenAttempts) {
      return absl::UnavailableError(
          absl::StrCat("the outcome of a commit is unknown: ", answer.status().message()));
    }
    std::this_thread::sleep_for(kBetweenAttempts);
    client_.wait_for_connection(std::min(kForConnection, deadline - clock_.now().boot));
  }
}

absl::Status EtcdWriter::settle(const etcdserverpb::TxnResponse& answer, bool was_sent_before) {
  revision_ = answer.header().revision();
  if (answer.succeeded()) {
    ++counter_;
    return absl::OkStatus();
  }
  const mvccpb::KeyValue* leader = read_by(answer, 0);
  const mvccpb::KeyValue* counter = read_by(answer, 1);
  // Only we write this number while our key lives. Where it is gone meanwhile, what we wrote
  // stays written all the same; that the term is over shows with the next commit.
  const bool is_written =
      was_sent_before && counter != nullptr && counter->value() == absl::StrCat(counter_ + 1);
  const bool is_leader = leader != nullptr && leader->create_revision() == leader_.create_revision;
  if (is_written && is_leader) {
    ++counter_;
    return absl::OkStatus();
  }
  if (!is_leader) {
    if (!was_sent_before) {
      return absl::FailedPreconditionError("this scheduler is not the leader any more");
    }
    return absl::UnavailableError(
        "the outcome of a commit is unknown: this scheduler is not the leader any more");
  }
  return absl::AbortedError(absl::StrCat("etcd's key ", keys_.counter(), " is ",
                                         counter == nullptr ? "absent" : counter->value(), ", not ",
                                         counter_, ": somebody else has written to this store"));
}

absl::Status EtcdWriter::write(EtcdChanges changes) {
  std::vector<Operations> parts = std::move(changes).parts();
  if (parts.empty()) return absl::OkStatus();
  if (parts.size() == 1) return transact(std::move(parts.front()));
  return write_staged(std::move(parts));
}

absl::Status EtcdWriter::write_staged(std::vector<Operations> parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    internal::StagedPart part;
    for (const etcdserverpb::RequestOp& operation : parts[i]) *part.add_operations() = operation;
    Operations stage;
    stage.push_back(put_of(keys_.staged_part(i), part.SerializeAsString()));
    if (auto status = transact(std::move(stage)); !status.ok()) return status;
  }
  Operations whole;
  whole.push_back(put_of(keys_.staged_whole(), absl::StrCat(parts.size())));
  if (auto status = transact(std::move(whole)); !status.ok()) return status;
  return carry_out(std::move(parts));
}

// Each part may be carried out twice: it only says what keys hold in the end.
absl::Status EtcdWriter::carry_out(std::vector<Operations> parts) {
  for (Operations& part : parts) {
    if (auto status = transact(std::move(part)); !status.ok()) return status;
  }
  Operations done;
  done.push_back(erase_of(keys_.staged()));
  return transact(std::move(done));
}

absl::Status EtcdWriter::recover() {
  const auto whole = client_.get(keys_.staged_whole(), {.timeout = options_.patience});
  if (!whole.ok() && !absl::IsNotFound(whole.status())) return whole.status();
  std::vector<Operations> parts;
  size_t found = 0;
  const auto revision =
      for_each_key(client_, {.prefix = keys_.staged_parts()},
                   [&](const mvccpb::KeyValue& stored) -> absl::StatusOr<bool> {
                     ++found;
                     if (!whole.ok()) return true;
                     internal::StagedPart part;
                     if (!part.ParseFromString(stored.value())) {
                       return absl::DataLossError("a staged part of a commit does not parse");
                     }
                     parts.emplace_back(part.operations().begin(), part.operations().end());
                     return true;
                   });
  if (!revision.ok()) return revision.status();
  if (whole.ok() && whole->value() != absl::StrCat(found)) {
    return absl::DataLossError(
        absl::StrCat("a staged commit has ", found, " parts, not ", whole->value()));
  }
  if (found == 0) return absl::OkStatus();
  return carry_out(std::move(parts));
}

}  // namespace clusterd
