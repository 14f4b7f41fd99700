#include "scheduler/shared_store.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "core/address.h"
#include "scheduler/etcd_election.h"
#include "store/etcd_store.h"
#include "store/sqlite_store.h"

namespace clusterd {

absl::StatusOr<OpenedStore> open_store(const SchedulerConfig& config, const Clock& clock) {
  OpenedStore opened;
  if (config.store.backend != "etcd") {
    auto store = SqliteStore::open(config.store.path, {.max_events = config.retention.max_events});
    if (!store.ok()) return store.status();
    opened.store = *std::move(store);
    return opened;
  }
  auto client = EtcdClient::make(config.store, clock);
  if (!client.ok()) return client.status();
  opened.client = *std::move(client);
  auto store = std::make_unique<EtcdStore>(
      *opened.client, clock,
      EtcdStore::Options{.prefix = config.store.prefix,
                         .max_events = config.retention.max_events,
                         // Who has not heard of etcd for longer leads no more.
                         .patience = config.store.lease_ttl,
                         .care = {.quota_bytes = config.store.quota_bytes}});
  opened.election = std::make_unique<EtcdElection>(
      *opened.client, clock,
      EtcdElection::Options{.prefix = config.store.prefix,
                            .ttl = config.store.lease_ttl,
                            .on_key = [&shared = *store](std::optional<LeaderKey> key) {
                              shared.set_leader(std::move(key));
                            }});
  opened.store = std::move(store);
  return opened;
}

std::string reachable_address(const std::string& listening) {
  auto address = parse_address(listening);
  if (!address.ok()) return listening;
  if (!address->host.empty() && address->host != "0.0.0.0" && address->host != "::") {
    return listening;
  }
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return listening;
  address->host = name.data();
  return format_address(*address);
}

}  // namespace clusterd
