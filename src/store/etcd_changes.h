#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "etcd/rpc.pb.h"

namespace clusterd {

// What a transaction is to change: of each key the last word alone, because etcd refuses two.
//
// A value; one thread.
class EtcdChanges {
 public:
  // What is gathered for one transaction. A part may have some more, for what every transaction
  // brings with it; both are below etcd's defaults of 128 operations and 1.5 MiB.
  static constexpr size_t kMostOperations = 110;
  static constexpr size_t kMostBytes = 1 << 20;
  static constexpr size_t kMostOperationsOfPart = 120;
  static constexpr size_t kMostBytesOfPart = kMostBytes + (kMostBytes >> 3);

  void put(std::string key, std::string value);
  void erase(const std::string& key);
  // Of the keys from `from` to before `to`, what has been put so far included. What is put there
  // afterwards needs a transaction of its own: see may_follow().
  void erase_range(std::string from, std::string to);

  [[nodiscard]] bool empty() const { return keys_.empty() && ranges_.empty(); }
  // These and `more` after them are one transaction's.
  [[nodiscard]] bool may_follow(const EtcdChanges& more) const;
  // Takes over `more`, for which may_follow() holds.
  void append(EtcdChanges more);

  [[nodiscard]] size_t bytes() const { return bytes_; }

  // The operations, cut into parts of which each fits into one transaction.
  [[nodiscard]] std::vector<std::vector<etcdserverpb::RequestOp>> parts() &&;

 private:
  [[nodiscard]] bool is_in_range(const std::string& key) const;
  [[nodiscard]] size_t operations() const { return keys_.size() + ranges_.size(); }

  std::map<std::string, std::optional<std::string>> keys_;  // nullopt: deleted
  std::vector<std::pair<std::string, std::string>> ranges_;
  size_t bytes_ = 0;  // at least what they take in a request
};

}  // namespace clusterd
