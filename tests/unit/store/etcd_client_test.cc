#include "store/etcd_client.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "core/field_error.h"
#include "rpc/certificate_authority.h"
#include "support/etcd_server.h"
#include "support/etcd_store_fixture.h"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using testing::delete_key;
using testing::EtcdServer;
using testing::make_client;
using testing::new_prefix;
using testing::put_key;
using testing::ScratchFolder;
using testing::shared_etcd;

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

etcdserverpb::TxnRequest put_with_lease(const std::string& key, int64_t lease) {
  etcdserverpb::TxnRequest request;
  auto& put = *request.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_lease(lease);
  return request;
}

}  // namespace

TEST_CASE("a member that is not there is passed over", "[etcd]") {
  auto settings = shared_etcd().settings();
  settings.endpoints.insert(settings.endpoints.begin(), {"127.0.0.1:1", "127.0.0.1:2"});
  const auto client = make_client(settings);

  CHECK(absl::IsNotFound(client->get("/none", {.timeout = 10s}).status()));
}

TEST_CASE("a member that is silent is passed over within the time of the call", "[etcd]") {
  EtcdServer silent;
  silent.pause();
  auto settings = shared_etcd().settings();
  settings.endpoints.insert(settings.endpoints.begin(), silent.endpoint());
  const auto client = make_client(settings);

  CHECK(absl::IsNotFound(client->get("/none", {.timeout = 3s}).status()));
  silent.resume();
}

TEST_CASE("without any member a call ends, and says so", "[etcd]") {
  SchedulerConfig::Store settings;
  settings.endpoints = {"127.0.0.1:1"};
  const auto client = make_client(settings);

  CHECK(is_ambiguous(client->get("/none", {.timeout = 500ms}).status()));
  CHECK(is_ambiguous(client->grant(5s, {.timeout = 500ms}).status()));
}

TEST_CASE("a lease lives while it is kept, and its keys go with it", "[etcd]") {
  const auto client = make_client(shared_etcd().settings());
  const std::string key = new_prefix() + "leader";
  const auto lease = client->grant(1500ms, {});
  REQUIRE(lease.ok());
  CHECK(lease->ttl == 2s);  // whole seconds
  REQUIRE(client->txn(put_with_lease(key, lease->id), {}).ok());

  const auto kept = client->keep_alive(lease->id, {});
  REQUIRE(kept.ok());
  CHECK(kept->ttl == 2s);
  CHECK(kept->asked_at > lease->asked_at);
  REQUIRE(client->revoke(lease->id, {}).ok());

  CHECK(absl::IsNotFound(client->get(key, {}).status()));
  CHECK(absl::IsNotFound(client->keep_alive(lease->id, {}).status()));
  CHECK(client->revoke(lease->id, {}).ok());
}

TEST_CASE("a change of a watched key is told, from the revision asked for on", "[etcd]") {
  const auto client = make_client(shared_etcd().settings());
  const std::string key = new_prefix() + "leader";
  put_key(*client, key, "one");
  const int64_t revision = client->get(key, {})->mod_revision();

  CHECK(client->wait_for_change(key, revision, {})->value == "one");
  CHECK(absl::IsDeadlineExceeded(
      client->wait_for_change(key, revision + 1, {.timeout = 200ms}).status()));
  auto change = std::async(std::launch::async, [&] {
    return client->wait_for_change(key, revision + 1, {.timeout = 20s});
  });
  delete_key(*client, key);
  const auto told = change.get();
  REQUIRE(told.ok());
  CHECK(told->is_deleted);
  CHECK(told->mod_revision > revision);
}

TEST_CASE("who waits for a change can be called off", "[etcd]") {
  const auto client = make_client(shared_etcd().settings());
  std::stop_source stop;
  auto change = std::async(std::launch::async, [&] {
    return client->wait_for_change("/none", 0, {.timeout = 60s, .stop = stop.get_token()});
  });
  CHECK(change.wait_for(200ms) == std::future_status::timeout);

  stop.request_stop();

  CHECK(absl::IsCancelled(change.get().status()));
}

TEST_CASE("a watch from a revision that is forgotten says so", "[etcd]") {
  EtcdServer server;
  const auto client = make_client(server.settings());
  put_key(*client, "/key", "one");
  put_key(*client, "/key", "two");
  const int64_t revision = client->get("/key", {})->mod_revision();
  REQUIRE(client->compact(revision, {}).ok());
  REQUIRE(client->compact(revision, {}).ok());  // a second time is none

  CHECK(absl::IsOutOfRange(client->wait_for_change("/key", revision - 1, {}).status()));
}

TEST_CASE("etcd is called as a user, also after it has forgotten who that is", "[etcd]") {
  EtcdServer server({.syncs = true});  // it is killed
  server.etcdctl("user add root:secret");
  server.etcdctl("user grant-role root root");
  server.etcdctl("auth enable");
  const ScratchFolder folder;
  write_text(folder / "password", "secret\n");
  auto settings = server.settings();
  const auto nobody = make_client(settings);
  CHECK_FALSE(nobody->get("/none", {}).ok());
  CHECK_FALSE(absl::IsNotFound(nobody->get("/none", {}).status()));
  settings.user = "root";
  settings.password_file = folder / "password";
  const auto client = make_client(settings);
  CHECK(absl::IsNotFound(client->get("/none", {}).status()));

  server.kill();  // its tokens are in memory
  server.start();
  auto again = client->get("/none", {.timeout = 10s});
  // The connection of before may have to be found dead first.
  for (int i = 0; i < 3 && is_ambiguous(again.status()); ++i) {
    again = client->get("/none", {.timeout = 10s});
  }
  INFO(again.status());
  CHECK(absl::IsNotFound(again.status()));

  write_text(folder / "password", "wrong\n");
  CHECK(absl::IsUnauthenticated(make_client(settings)->get("/none", {}).status()));
}

TEST_CASE("etcd is called over TLS, by its name, with our certificate", "[etcd]") {
  const ScratchFolder folder;
  const auto authority = CertificateAuthority::create("test", 24h);
  REQUIRE(authority.ok());
  write_text(folder / "ca.pem", authority->own().certificate);
  const Identity identity{.role = Role::kScheduler, .name = "etcd"};
  for (const auto& [name, host] :
       {std::pair("good", "127.0.0.1"), std::pair("other", "10.0.0.1")}) {
    const auto issued = authority->issue(identity, {host}, 12h);
    INFO(issued.status());
    REQUIRE(issued.ok());
    write_text(folder / (std::string(name) + ".pem"), issued->certificate);
    write_text(folder / (std::string(name) + ".key"), issued->key);
  }
  const auto arguments = [&folder](const std::string& name) {
    return std::vector<std::string>{
        "--cert-file=" + (folder / (name + ".pem")), "--key-file=" + (folder / (name + ".key")),
        "--trusted-ca-file=" + (folder / "ca.pem"), "--client-cert-auth"};
  };
  const auto settings_of = [&folder](const EtcdServer& server) {
    auto settings = server.settings();
    settings.use_tls = true;
    settings.ca_file = folder / "ca.pem";
    settings.crt_file = folder / "good.pem";
    settings.key_file = folder / "good.key";
    return settings;
  };
  {
    const EtcdServer server({.arguments = arguments("good"), .scheme = "https"});
    auto settings = settings_of(server);
    CHECK(absl::IsNotFound(make_client(settings)->get("/none", {.timeout = 10s}).status()));
    settings.crt_file.clear();
    settings.key_file.clear();
    CHECK(is_ambiguous(make_client(settings)->get("/none", {.timeout = 2s}).status()));
  }
  const EtcdServer server({.arguments = arguments("other"), .scheme = "https"});
  CHECK(is_ambiguous(make_client(settings_of(server))->get("/none", {.timeout = 2s}).status()));
}

TEST_CASE("a file that cannot be read is named", "[etcd]") {
  SchedulerConfig::Store settings;
  settings.use_tls = true;
  settings.ca_file = "/none/ca.pem";
  const SystemClock clock;

  const absl::Status status = EtcdClient::make(settings, clock).status();

  CHECK(absl::IsInvalidArgument(status));
  CHECK(field_of(status) == "store.ca_file");
}

TEST_CASE("the end of a prefix is above all its keys", "[etcd]") {
  CHECK(end_of_prefix("/a/") == "/a0");
  CHECK(end_of_prefix("a\xff") == "b");
  CHECK(end_of_prefix("\xff") == std::string(1, '\0'));
}

}  // namespace clusterd
