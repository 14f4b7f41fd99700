#include "store/etcd_changes.h"

#include <catch2/catch.hpp>
#include <string>

namespace clusterd {
namespace {

size_t operations_in(EtcdChanges changes) {
  size_t count = 0;
  for (const auto& part : std::move(changes).parts()) count += part.size();
  return count;
}

}  // namespace

TEST_CASE("of each key the last word alone is written", "[etcd]") {
  EtcdChanges changes;
  changes.put("a", "1");
  changes.put("a", "2");
  changes.put("b", "1");
  changes.erase("b");

  const auto parts = std::move(changes).parts();

  REQUIRE(parts.size() == 1);
  REQUIRE(parts[0].size() == 2);
  CHECK(parts[0][0].request_put().value() == "2");
  CHECK(parts[0][1].request_delete_range().key() == "b");
}

TEST_CASE("what was put into a range that goes is not written", "[etcd]") {
  EtcdChanges changes;
  changes.put("a/1", "1");
  changes.put("b/1", "1");
  changes.erase_range("a/", "a0");

  EtcdChanges later;
  later.put("a/2", "1");
  CHECK_FALSE(changes.may_follow(later));  // etcd refuses both in one transaction
  EtcdChanges other;
  other.put("c", "1");
  CHECK(changes.may_follow(other));
  CHECK(operations_in(std::move(changes)) == 2);
}

TEST_CASE("changes are cut where a transaction is full", "[etcd]") {
  EtcdChanges many;
  for (int i = 0; i < 300; ++i) many.put("key" + std::to_string(i), "x");
  EtcdChanges one;
  one.put("other", "x");
  CHECK_FALSE(many.may_follow(one));
  const auto parts = std::move(many).parts();
  CHECK(parts.size() == 3);

  EtcdChanges large;
  for (int i = 0; i < 5; ++i) large.put("key" + std::to_string(i), std::string(500'000, 'x'));
  CHECK(std::move(large).parts().size() == 3);
}

}  // namespace clusterd
