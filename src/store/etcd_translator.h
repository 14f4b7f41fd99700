#pragma once

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "store/etcd_changes.h"
#include "store/etcd_client.h"
#include "store/etcd_keys.h"
#include "store/store.h"

namespace clusterd {

// Says what batches change in etcd, events and the store's own words left out.
//
// Made for one commit, by EtcdStore; one thread.
class EtcdTranslator {
 public:
  // All outlive this.
  EtcdTranslator(EtcdClient& client, const EtcdKeys& keys) : client_(client), keys_(keys) {}

  // Reads the jobs that the batches delete: their output is known by them.
  [[nodiscard]] absl::Status prepare(absl::Span<const StoreBatch> batches);
  // In the order of the batches that prepare() was told of.
  [[nodiscard]] EtcdChanges translate(const StoreBatch& batch);

 private:
  void delete_job(const std::string& job_id, EtcdChanges& changes) const;

  EtcdClient& client_;
  const EtcdKeys& keys_;
  absl::flat_hash_map<std::string, v1::Job> deleted_;  // as of the last batch; empty: there is none
};

// Remembers where the job has output.
void put_doomed(const EtcdKeys& keys, const v1::Job& job, EtcdChanges& changes);

// Cuts events into chunks, each of which is one key.
void put_events(const EtcdKeys& keys, absl::Span<const v1::Event* const> events,
                EtcdChanges& changes);

}  // namespace clusterd
