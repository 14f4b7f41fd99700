#pragma once

#include <memory>
#include <string>

#include "core/clock.h"
#include "store/etcd_client.h"
#include "store/etcd_store.h"
#include "support/etcd_server.h"

namespace clusterd::testing {

// The etcd that the tests of this process share; each has a prefix of its own.
EtcdServer& shared_etcd();
// "/test1/", "/test2/" …
std::string new_prefix();

[[nodiscard]] std::unique_ptr<EtcdClient> make_client(const SchedulerConfig::Store& settings);

// Makes the key anew, as an election would, without a lease.
LeaderKey become_leader(EtcdClient& client, const std::string& prefix);
void put_key(EtcdClient& client, const std::string& key, const std::string& value);
void delete_key(EtcdClient& client, const std::string& key);

// A store that leads, in the etcd that the tests share unless told.
struct InEtcd {
  explicit InEtcd(uint64_t max_events = 5);
  InEtcd(EtcdServer& server, const EtcdStore::Options& its_options);

  Store& operator*() { return *store; }
  [[nodiscard]] EtcdStore::Options options_again() const { return options; }

  EtcdStore::Options options;
  SystemClock clock;
  std::unique_ptr<EtcdClient> client;
  std::unique_ptr<EtcdStore> store;
};

}  // namespace clusterd::testing
