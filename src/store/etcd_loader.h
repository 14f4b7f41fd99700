#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/etcd_changes.h"
#include "store/etcd_client.h"
#include "store/etcd_index.h"
#include "store/etcd_keys.h"
#include "store/store.h"

namespace clusterd {

// Reads all that a term of office starts from, as of one revision, and fills the index.
//
// Made for one term, by EtcdStore; one thread.
class EtcdLoader {
 public:
  // All outlive this. `index` is empty.
  EtcdLoader(EtcdClient& client, const EtcdKeys& keys, EtcdIndex& index)
      : client_(client), keys_(keys), index_(index) {}

  // Errors as of Store::begin_term().
  [[nodiscard]] absl::StatusOr<StoreContents> load();
  // What sets records aside that do not parse.
  [[nodiscard]] EtcdChanges take_repairs() { return std::move(repairs_); }

 private:
  [[nodiscard]] absl::Status read_jobs();
  [[nodiscard]] absl::Status read_tasks();
  [[nodiscard]] absl::Status read_tasks_below(const std::string& prefix);
  [[nodiscard]] absl::Status read_members();
  [[nodiscard]] absl::Status read_requests();
  // Calls `take` with each record that parses; the others are set aside.
  template <typename Message, typename KeyOf, typename Take>
  [[nodiscard]] absl::Status read(const std::string& folder, KeyOf key_of, Take take);
  void take_live(v1::Job job);
  void set_aside(const std::string& key, const std::string& value);

  EtcdClient& client_;
  const EtcdKeys& keys_;
  EtcdIndex& index_;
  StoreContents contents_;
  EtcdChanges repairs_;
  absl::flat_hash_set<std::string> live_arrays_;
  int64_t revision_ = 0;
};

// The format of the store. NOT_FOUND: there is no store. FAILED_PRECONDITION: a newer program made
// it, or an import of an archive into it has not ended.
[[nodiscard]] absl::StatusOr<internal::StoreMeta> read_etcd_meta(EtcdClient& client,
                                                                 const EtcdKeys& keys);

inline constexpr uint32_t kEtcdFormat = 1;

}  // namespace clusterd
