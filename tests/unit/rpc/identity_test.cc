#include "rpc/identity.h"

#include <catch2/catch.hpp>

namespace clusterd {
namespace {

TEST_CASE("the URI of a certificate names role, name and cluster", "[identity]") {
  const auto scheduler = parse_spiffe_id("spiffe://prod.example/scheduler/s1");
  const auto worker = parse_spiffe_id("spiffe://prod/worker/DB-1.example_x");
  const auto client = parse_spiffe_id("spiffe://prod/client/operator/alice");

  CHECK(*scheduler == Identity{.role = Role::kScheduler, .name = "s1", .cluster = "prod.example"});
  CHECK(*worker == Identity{.role = Role::kWorker, .name = "DB-1.example_x", .cluster = "prod"});
  CHECK(*client == Identity{.role = Role::kOperator, .name = "alice", .cluster = "prod"});
  CHECK(spiffe_id(*client) == "spiffe://prod/client/operator/alice");
  CHECK(spiffe_id(*worker) == "spiffe://prod/worker/DB-1.example_x");
}

TEST_CASE("an identity is read back as it is printed", "[identity]") {
  for (const char* text : {"scheduler/s1", "worker/db1.example.org", "client/reader/bob",
                           "client/operator/ci-2", "client/admin/root"}) {
    INFO(text);
    CHECK(parse_identity(text)->text() == text);
  }
  CHECK(anonymous_admin().text() == "anonymous");
  CHECK(anonymous_admin().is_anonymous());
  CHECK_FALSE(parse_identity("worker/w1")->is_anonymous());
}

TEST_CASE("what is no identity is refused with its text", "[identity]") {
  const std::string long_name = "worker/" + std::string(129, 'a');
  for (const std::string& text :
       {std::string("anonymous"), std::string(""), std::string("worker"), std::string("worker/"),
        std::string("worker/a/b"), std::string("client/worker/a"), std::string("reader/a"),
        std::string("client/a"), std::string("worker/.."), std::string("worker/a b"),
        std::string("worker/\xC3\xA9"), std::string("root/a"), std::string("Worker/a"),
        std::string("worker/a%2Fb"), std::string("worker/a\0b", 10), long_name}) {
    INFO(text);
    const auto identity = parse_identity(text);
    CHECK(identity.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(identity.status().message()).find("\"" + text + "\"") == 0);
  }
}

TEST_CASE("a URI that is no SPIFFE id of ours is refused", "[identity]") {
  for (const char* uri :
       {"https://prod/worker/a", "spiffe://", "spiffe:///worker/a", "spiffe://prod",
        "spiffe://PROD/worker/a", "spiffe://prod:8080/worker/a", "spiffe://u@prod/worker/a",
        "spiffe://prod/worker/a?x=1", "spiffe://prod/worker/a#x", "spiffe://prod//worker/a",
        "SPIFFE://p/worker/a"}) {
    INFO(uri);
    CHECK(parse_spiffe_id(uri).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("roles are words and back", "[identity]") {
  for (const Role role : kAllRoles) CHECK(*parse_role(role_word(role)) == role);
  CHECK(parse_role("root").status().message() ==
        "\"root\" is no role: scheduler, worker, reader, operator and admin are allowed");
}

}  // namespace
}  // namespace clusterd
