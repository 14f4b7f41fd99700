#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "store/etcd_client.h"

namespace clusterd {

struct EtcdPagesOf {
  std::string prefix;    // the keys that begin with it
  std::string from;      // of these, from this one on; empty: all
  int64_t revision = 0;  // as of; 0: of the first page
  uint64_t limit = 0;    // at most so many; 0: all
};

// Calls `visit` with each key, by key, as of one revision, which is returned. Ends where `visit`
// says false, which is no error. Reads at most 1,000 keys at a time, fewer where they are large.
[[nodiscard]] absl::StatusOr<int64_t> for_each_key(
    EtcdClient& client, const EtcdPagesOf& pages,
    absl::FunctionRef<absl::StatusOr<bool>(const mvccpb::KeyValue&)> visit);

// The values of these keys, in their order; nullopt: there is none. Some hundreds at a time.
[[nodiscard]] absl::StatusOr<std::vector<std::optional<std::string>>> read_keys(
    EtcdClient& client, const std::vector<std::string>& keys);

}  // namespace clusterd
