#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "core/config_load.h"
#include "unit/core/wrong_config.h"

using namespace std::chrono_literals;

namespace clusterd {
namespace {

TEST_CASE("a store in etcd says what it needs", "[config]") {
  const std::string etcd = "[store]\nbackend = \"etcd\"\n";
  const auto whole = parse_scheduler_config(
      etcd +
          "endpoints = [\"a:2379\", \"b:2379\"]\nprefix = \"/jobs/\"\nuse_tls = true\n"
          "ca_file = \"ca\"\nuser = \"u\"\npassword_file = \"p\"\nlease_ttl = \"9s\"\n"
          "quota = \"8GiB\"\n",
      "f.toml");
  INFO(whole.status());
  REQUIRE(whole.ok());
  CHECK(whole->store.endpoints == std::vector<std::string>{"a:2379", "b:2379"});
  CHECK(whole->store.prefix == "/jobs/");
  CHECK(whole->store.lease_ttl == 9s);
  CHECK(whole->store.quota_bytes == 8ULL << 30U);
  check_all(
      {{etcd + "endpoints = []",
        "f.toml:3:13: store.endpoints: is empty; allowed is \"host:port\" or a list of them"},
       {etcd + "endpoints = [\"a\"]",
        "f.toml:3:13: store.endpoints: backend = \"etcd\" needs one at least\n"
        "f.toml:3:14: store.endpoints: \"a\" has no port; allowed is host:port, as in "
        "\"127.0.0.1:50000\""},
       {etcd + "prefix = \"/jobs\"", "f.toml:3:10: store.prefix: \"/jobs\" must end with '/'"},
       {etcd + "use_tls = true",
        "f.toml:3:11: store.use_tls: true needs ca_file in [store] "
        "too"},
       {etcd + "use_tls = true\nca_file = \"a\"\ncrt_file = \"b\"",
        "f.toml:5:12: store.crt_file: crt_file and key_file go together"},
       {etcd + "user = \"u\"", "f.toml:3:8: store.user: user and password_file go together"},
       {etcd + "lease_ttl = \"1s\"",
        "f.toml:3:13: store.lease_ttl: \"1s\" is out of range; allowed is 2s to 1m"}},
      parse_scheduler_config);
}

}  // namespace
}  // namespace clusterd
