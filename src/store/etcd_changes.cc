#include "store/etcd_changes.h"

#include <algorithm>

namespace clusterd {
namespace {

constexpr size_t kOverhead = 32;  // of one operation: tags and lengths

}  // namespace

void EtcdChanges::put(std::string key, std::string value) {
  bytes_ += kOverhead + key.size() + value.size();
  std::optional<std::string>& known = keys_[std::move(key)];
  if (known) bytes_ -= known->size();
  known = std::move(value);
}

void EtcdChanges::erase(const std::string& key) {
  bytes_ += kOverhead + key.size();
  std::optional<std::string>& known = keys_[key];
  if (known) bytes_ -= known->size();
  known.reset();
}

void EtcdChanges::erase_range(std::string from, std::string to) {
  bytes_ += kOverhead + from.size() + to.size();
  const auto first = keys_.lower_bound(from);
  auto last = first;
  for (; last != keys_.end() && last->first < to; ++last) {
    if (last->second) bytes_ -= last->second->size();
  }
  keys_.erase(first, last);
  ranges_.emplace_back(std::move(from), std::move(to));
}

bool EtcdChanges::is_in_range(const std::string& key) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&key](const auto& range) {
    return range.first <= key && key < range.second;
  });
}

bool EtcdChanges::may_follow(const EtcdChanges& more) const {
  if (bytes_ + more.bytes_ > kMostBytes) return false;
  size_t count = operations() + more.ranges_.size();
  for (const auto& [key, value] : more.keys_) {
    if (!ranges_.empty() && is_in_range(key)) return false;
    count += keys_.contains(key) ? 0 : 1;
  }
  return count <= kMostOperations;
}

void EtcdChanges::append(EtcdChanges more) {
  // A batch's own ranges are older than none of its keys: erase_range() has dropped those.
  for (auto& [from, to] : more.ranges_) erase_range(std::move(from), std::move(to));
  for (auto& [key, value] : more.keys_) {
    if (value) {
      put(key, *std::move(value));
    } else {
      erase(key);
    }
  }
}

std::vector<std::vector<etcdserverpb::RequestOp>> EtcdChanges::parts() && {
  std::vector<std::vector<etcdserverpb::RequestOp>> parts;
  size_t bytes = 0;
  const auto next = [&parts, &bytes](size_t size) -> etcdserverpb::RequestOp& {
    if (parts.empty() || parts.back().size() == kMostOperationsOfPart ||
        bytes + size > kMostBytesOfPart) {
      parts.emplace_back();
      bytes = 0;
    }
    bytes += size;
    return parts.back().emplace_back();
  };
  for (const auto& [from, to] : ranges_) {
    auto& range = *next(kOverhead + from.size() + to.size()).mutable_request_delete_range();
    range.set_key(from);
    range.set_range_end(to);
  }
  for (auto& [key, value] : keys_) {
    etcdserverpb::RequestOp& operation = next(kOverhead + key.size() + (value ? value->size() : 0));
    if (value) {
      operation.mutable_request_put()->set_key(key);
      operation.mutable_request_put()->set_value(*std::move(value));
    } else {
      operation.mutable_request_delete_range()->set_key(key);
    }
  }
  return parts;
}

}  // namespace clusterd
