#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/config.h"
#include "scheduler/election.h"
#include "store/etcd_client.h"
#include "store/store.h"

namespace clusterd {

// The store as configured and, where several schedulers share it, who of them leads. Owned by
// run_scheduler; the store outlives the app.
struct OpenedStore {
  std::unique_ptr<EtcdClient> client;  // null: the store is a file
  std::unique_ptr<Store> store;
  std::unique_ptr<Election> election;  // null: the store is this scheduler's alone
};

// Errors are SqliteStore::open's and EtcdClient::make's. `clock` outlives what is opened.
[[nodiscard]] absl::StatusOr<OpenedStore> open_store(const SchedulerConfig& config,
                                                     const Clock& clock);

// Where others reach a scheduler that listens at `listening`: there, with this machine's name where
// that is every interface.
[[nodiscard]] std::string reachable_address(const std::string& listening);

}  // namespace clusterd
