#include "support/etcd_store_fixture.h"

#include <catch2/catch.hpp>

namespace clusterd::testing {
namespace {

const SystemClock& system_clock() {
  static const SystemClock clock;
  return clock;
}

const EtcdClient::Limits kLimits{.timeout = std::chrono::seconds(20)};

}  // namespace

EtcdServer& shared_etcd() {
  static EtcdServer server;
  return server;
}

std::string new_prefix() {
  static int count = 0;
  return "/test" + std::to_string(++count) + "/";
}

std::unique_ptr<EtcdClient> make_client(const SchedulerConfig::Store& settings) {
  auto client = EtcdClient::make(settings, system_clock());
  INFO(client.status());
  REQUIRE(client.ok());
  return *std::move(client);
}

void put_key(EtcdClient& client, const std::string& key, const std::string& value) {
  etcdserverpb::TxnRequest request;
  request.add_success()->mutable_request_put()->set_key(key);
  request.mutable_success(0)->mutable_request_put()->set_value(value);
  const auto answer = client.txn(request, kLimits);
  INFO(answer.status());
  REQUIRE(answer.ok());
}

void delete_key(EtcdClient& client, const std::string& key) {
  etcdserverpb::TxnRequest request;
  request.add_success()->mutable_request_delete_range()->set_key(key);
  REQUIRE(client.txn(request, kLimits).ok());
}

LeaderKey become_leader(EtcdClient& client, const std::string& prefix) {
  const std::string key = prefix + "leader";
  delete_key(client, key);
  put_key(client, key, "a test");
  const auto made = client.get(key, kLimits);
  REQUIRE(made.ok());
  return {.key = key, .create_revision = made->create_revision()};
}

InEtcd::InEtcd(uint64_t max_events)
    : InEtcd(shared_etcd(), {.prefix = new_prefix(), .max_events = max_events}) {}

InEtcd::InEtcd(EtcdServer& server, const EtcdStore::Options& its_options)
    : options(its_options), client(make_client(server.settings())) {
  store = std::make_unique<EtcdStore>(*client, clock, options);
  store->set_leader(become_leader(*client, options.prefix));
}

}  // namespace clusterd::testing
